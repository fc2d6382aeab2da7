"""A foreign weights file in, its tensors and plain values out; nothing that the file names is ever imported or run."""

import collections
import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from espnet2.utils.errors import UserError

# What a file of weights needs to be put together again: these make tensors and containers and do nothing else.
REBUILDERS = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch", "Size"): torch.Size,
    ("torch._utils", "_rebuild_parameter"): lambda data, requires_grad, hooks: data,
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): lambda storage, offset, size, stride, *_: torch._utils._rebuild_tensor_v2(
        storage, offset, size, stride, False, collections.OrderedDict()
    ),
}
TORCHSCRIPT_MEMBER = "constants.pkl"  # by which torch.load knows an archive of torch.jit.save
DAMAGE = (RuntimeError, OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError)


class Record:
    """In place of an object of a class that is no tensor: what the file says about it, and no behaviour."""

    class_name = ""  # with its module, as the file names it

    def __init__(self, *arguments: object, **options: object) -> None:
        self.arguments = arguments
        self.state: dict[str, object] = options
        self.items: list[object] = []
        self.entries: dict[object, object] = {}

    def __new__(cls, *arguments: object, **options: object) -> "Record":
        record = super().__new__(cls)
        Record.__init__(record, *arguments, **options)
        return record

    def __setstate__(self, state: object) -> None:
        parts = state if isinstance(state, tuple) else (state,)
        for part in parts:
            if isinstance(part, Mapping):
                self.state.update(part)
            elif part is not None:
                self.arguments = (*self.arguments, part)

    def __setitem__(self, key: object, value: object) -> None:
        self.entries[key] = value

    def append(self, value: object) -> None:
        self.items.append(value)

    def extend(self, values: Iterable[object]) -> None:
        self.items.extend(values)

    def add(self, value: object) -> None:
        self.items.append(value)

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<{self.class_name}, not loaded>"


class _Unpickler(pickle.Unpickler):
    """Knows the rebuilders by name; everything else becomes a Record."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) in REBUILDERS:
            return REBUILDERS[module, name]
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        return type("Record", (Record,), {"class_name": f"{module}.{name}"})


def _load(stream: IO[bytes], *, encoding: str = "ASCII") -> object:
    return _Unpickler(stream, encoding=encoding).load()


# What torch.load asks of a pickle module.
_RESTRICTED = SimpleNamespace(
    __name__="restricted_pickle",
    Unpickler=_Unpickler,
    load=_load,
    loads=lambda data, encoding="ASCII": _load(io.BytesIO(data), encoding=encoding),
    UnpicklingError=pickle.UnpicklingError,
    PickleError=pickle.PickleError,
)


def load_foreign(path: str | Path) -> object:
    """Read a file that torch.save or safetensors wrote.

    Returns:
        Tensors in main memory, dicts, lists and plain values; a `Record` in place of everything else.

    Raises:
        UserError: there is no such file, it is damaged, or it is a program (TorchScript).
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.suffix == ".safetensors":
        return load_tensors(path)
    if tarfile.is_tarfile(path):
        raise UserError(f"{path}: a tar file, of torch before 0.2 or no weights; load and save it with a newer torch")
    try:
        _refuse_programs(path)
        content: object = torch.load(path, map_location="cpu", weights_only=False, pickle_module=_RESTRICTED)
        return content
    except (pickle.UnpicklingError, struct.error, zipfile.BadZipFile, *DAMAGE) as error:
        raise UserError(f"{path}: cannot be read, is it whole? {_first_line(error)}") from None


def _refuse_programs(path: Path) -> None:
    """torch.load hands a TorchScript archive to torch.jit.load, whatever pickle module it was given: code would run.

    Asked of the zip reader that torch.load itself asks, and of Python's: what one of them sees counts.

    Raises:
        UserError: it is such an archive.
        RuntimeError: the zip file is damaged.
    """
    with open(path, "rb") as stream:
        if stream.read(4) != b"PK\x03\x04":  # only such a file is a zip to torch.load
            return
    names = list(torch._C.PyTorchFileReader(str(path)).get_all_records())
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as opened:
            names += opened.namelist()
    if any(name.rsplit("/", 1)[-1] == TORCHSCRIPT_MEMBER for name in names):
        raise UserError(
            f"{path}: a TorchScript archive, which holds a program; nothing of it was run. Expected weights alone: "
            "load it where you trust it, and save its state_dict() with torch.save or safetensors"
        )


def load_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        UserError: there is no such file, or it is damaged: a header larger than the file, overlapping or missing data.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a whole safetensors file: {_first_line(error)}") from None


def plain(value: object) -> object:
    """Configs as dicts: argparse's Namespace and OmegaConf's nodes lose their classes; other records stay."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Record):
        if "_content" in value.state:
            return plain(value.state["_content"])
        if "_val" in value.state:
            return plain(value.state["_val"])
        if value.class_name == "argparse.Namespace":
            return plain(value.state)
    return value


def only_tensors(value: object, where: str | Path) -> dict[str, Tensor]:
    """The entries of a state dict that are tensors.

    Raises:
        UserError: it is no mapping, or holds no tensor.
    """
    entries = value.items() if isinstance(value, Mapping) else ()
    tensors = {name: entry for name, entry in entries if isinstance(entry, Tensor)}
    if not tensors:
        raise UserError(f"{where}: no weights in there; expected names with tensors")
    return tensors


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
