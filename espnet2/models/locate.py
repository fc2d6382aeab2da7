"""What a user calls a model (folder, archive, hf:<name>, foreign file) in, a local folder of ours out."""

import os
from collections.abc import Callable
from pathlib import Path

from espnet2.formats import reader_names
from espnet2.models.adapter_file import adapter_metadata
from espnet2.models.archive import is_archive, unpack
from espnet2.models.packed_files import check_known_files
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_bytes, hash_file

HUB = "hf:"
CACHE_VARIABLE = "ESPNET2_SSL_CACHE"
IMPORT_VERSION = 1  # of what an import writes; another number imports again
# What is fetched from a repository: no pickle. The second list is tried where the first brings no weights.
HUB_FILES = ("*.safetensors", "*.json", "*.yaml", "*.txt", "*.md")
HUB_PICKLES = ("pytorch_model.bin", "pytorch_model-*.bin")  # in one file, or in several with their index
SAFETENSORS = ".safetensors"
ADAPTER_AT = f"{SAFETENSORS}@"  # <adapters>.safetensors@<model>: the model that they belong to
FOREIGN_CONFIGS = ("config.json", "kwargs.json")  # of transformers, and of torchaudio as ssl_export writes it
FOREIGN_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".nemo")  # of files that have to say themselves whose they are


def cache_folder() -> Path:
    """Where unpacked archives and imported models are kept: $ESPNET2_SSL_CACHE, or ~/.cache/espnet2_ssl."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(CACHE_VARIABLE) or Path(base) / "espnet2_ssl")


def locate_model(name: str | Path, *, revision: str | None = None) -> Path:
    """Make a model readable.

    Args:
        name: exp/<name> or anything else that `find_model` knows; an archive of `ssl_pack`; a transformers folder or
            a file of another toolkit, "<origin>:<path>" or with a usual suffix; "hf:<user>/<repository>", fetched once
            into huggingface_hub's own cache; adapters apart from their model, "<file>.safetensors", or with the place
            of that model "<file>.safetensors@<model>".
        revision: of a Hugging Face repository: branch, tag or commit.

    Returns:
        The folder of the model; `name` itself where it is one of ours, or nothing that is known.

    Raises:
        UserError: an archive that is not safe, a repository that cannot be had, a model that cannot be converted.
    """
    text = str(name)
    if text.startswith(HUB):
        folder = fetch_repository(text.removeprefix(HUB), revision=revision)
        return _imported(folder, text) if _is_foreign(folder) else folder
    origin, _, file = text.partition(":")
    if origin in reader_names():  # "fairseq:<file>" says whose file it is
        return _imported(Path(file), text, origin)
    adapter, at, base = text.partition(ADAPTER_AT)
    path = Path(adapter + SAFETENSORS if at else name)
    if at or path.suffix == SAFETENSORS:
        return _adapted(path, base if at else None)
    if is_archive(path):
        if not path.is_file():
            raise UserError(f"{path}: no such archive")
        return _once(
            cache_folder() / "packed" / hash_file(path), lambda folder: unpack(path, folder, check=_check_archive)
        )
    return _imported(path, path.name) if _is_foreign(path) else path


def split_locator(text: str) -> tuple[str, str]:
    """A model's name and what follows the colon behind it: "hf:<user>/<name>" and "<origin>:<path>" have one inside.

    >>> split_locator("hf:me/model:encoder:encoder"), split_locator("exp/a:encoder"), split_locator("exp/a")
    (('hf:me/model', 'encoder:encoder'), ('exp/a', 'encoder'), ('exp/a', ''))
    """
    origin, _, rest = text.partition(":")
    if f"{origin}:" != HUB and origin not in reader_names():
        return origin, rest
    name, _, rest = rest.partition(":")
    return f"{origin}:{name}", rest


def _adapted(path: Path, base: str | None) -> Path:
    """The base of an adapter with it merged in, in the cache; any other safetensors file as it is.

    The base is read and compared at every call: it may have changed since the first.
    """
    if base is None and adapter_metadata(path) is None:
        return path
    from espnet2.models.adapter import read_with_base, write_merged

    if not path.is_file():
        raise UserError(f"{path}: no such file")
    adapter, _, _ = read_with_base(path, base)
    key = hash_bytes(str(IMPORT_VERSION), hash_file(path), adapter.base_hash)
    return _once(cache_folder() / "adapted" / key, lambda folder: write_merged(path, base, folder))


def _check_archive(folder: Path, archive: Path) -> None:
    """An archive without a card is somebody's own; what a card lists must be as it was packed."""
    check_known_files(folder, archive=archive)


def fetch_repository(repository: str, *, revision: str | None = None) -> Path:
    """The local copy of a Hugging Face repository: data files only.

    Raises:
        UserError: huggingface_hub is missing, or the repository cannot be reached.
    """
    from espnet2.models.hub import hub_call, import_hub

    hub = import_hub()

    def fetch(files: tuple[str, ...]) -> Path:
        others = [f"{name}/*" for name in reader_names()]  # forms that ssl_pack put beside ours
        local = hub.snapshot_download(repository, revision=revision, allow_patterns=list(files), ignore_patterns=others)
        return Path(local)

    folder = hub_call(lambda: fetch(HUB_FILES), f"{HUB}{repository}")
    if not any(folder.rglob("*.safetensors")):
        folder = hub_call(lambda: fetch(HUB_FILES + HUB_PICKLES), f"{HUB}{repository}")
    return folder


def _imported(path: Path, name: str, origin: str | None = None) -> Path:
    """Another toolkit's model as one of ours, in the cache; made once."""
    settings = path.parent / "config.yaml"  # what ESPnet's .pth needs beside it
    if path.is_file():
        files = [path, settings] if settings.is_file() else [path]
    else:
        files = sorted(file for file in path.glob("*") if file.is_file())
    if not files:
        raise UserError(f"{path}: no such file or folder")

    def make(folder: Path) -> None:
        # Loads torch, which a second call does without.
        from espnet2.formats.foreign import guess_origin, import_model

        import_model(path, origin or guess_origin(path), folder, name=name)

    key = hash_bytes(str(IMPORT_VERSION), origin or "", *(hash_file(file) for file in files))
    return _once(cache_folder() / "imported" / key, make)


def _is_foreign(path: Path) -> bool:
    """Whether a model is another toolkit's, as far as its name tells."""
    if path.is_file():
        return path.suffix in FOREIGN_SUFFIXES
    has_theirs = any((path / name).is_file() for name in FOREIGN_CONFIGS)
    return has_theirs and not (path / "config.yaml").is_file()


def _once(folder: Path, make: Callable[[Path], object]) -> Path:
    """The folder, made if it is not there yet; of several processes that make it, the first one's is kept."""
    if not folder.is_dir():
        try:
            make(folder)
        except (UserError, OSError):
            if not folder.is_dir():
                raise
    return folder
