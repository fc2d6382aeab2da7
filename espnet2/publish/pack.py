"""A trained model in, a small folder that `load_model` reads out: half-precision weights without teachers, config."""

import json
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from espnet2.models.load import LoadedModel
from espnet2.ssl.adapt import merge_adapters
from espnet2.tasks.build import read_weights, teacher_names
from espnet2.tasks.config import dump_config
from espnet2.tasks.portable import portable_config
from espnet2.units.carried import TRAINED, model_hashes
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write

MEGABYTE = 1 << 20
DTYPES = {"fp16": torch.float16, "fp32": torch.float32}


def pack_model(
    loaded: LoadedModel,
    output: str | Path,
    *,
    dtype: str = "fp16",
    with_teacher: bool | None = False,
    max_megabytes: float = 3.0,
) -> int:
    """Write <output>/model.safetensors and config.yaml; loaded, its features are those of the original.

    Args:
        dtype: of the stored weights; they are float32 again once loaded. A weight beyond fp16 stays float32.
        with_teacher: keep the copies of the encoder that only training needs (and DinoSR's own codes). None: where the
            method has codes of its own.
        max_megabytes: refuse to write more.

    Returns:
        Bytes of the weights.

    Raises:
        UserError: it is too large.
    """
    keep = bool(loaded.model.first.code_numbers) if with_teacher is None else with_teacher
    left_out = set() if keep else teacher_names(loaded.model)
    stored = merge_adapters(read_weights(loaded.files.weights)).items()
    weights = {name: _stored(value, DTYPES[dtype]) for name, value in stored if name not in left_out}
    origin = model_hashes(loaded.files)[-1]
    about = {"format": "pt", TRAINED: origin, "teacher": "left out" if left_out else "complete"}
    data = _stable(save(weights, about))
    if len(data) > max_megabytes * MEGABYTE:
        raise UserError(
            f"{loaded.files.name}: {len(data) / MEGABYTE:.2f} MiB as {dtype}, at most {max_megabytes:g} are wanted; "
            "train a smaller model, or allow more"
        )
    output = Path(output)
    with atomic_write(output / "model.safetensors", "wb") as stream:
        stream.write(data)
    with atomic_write(output / "config.yaml") as stream:
        stream.write(dump_config(portable_config(loaded.config)))
    return len(data)


def _stable(data: bytes) -> bytes:
    """A safetensors file whose metadata are sorted: the library's order differs from one process to the next."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    about = dict(sorted(header.pop("__metadata__").items()))
    text = json.dumps({"__metadata__": about, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format aligns what follows
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def _stored(value: Tensor, dtype: torch.dtype) -> Tensor:
    """The tensor in a smaller type, where that can hold it."""
    if not value.is_floating_point():
        return value
    smaller = value.to(dtype)
    return smaller if smaller.isfinite().all() else value
