"""Adapters apart from their model: one small safetensors file that names its base by hash; written, read, merged."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save, save_file
from torch import Tensor

from espnet2.formats.conversion import new_folder
from espnet2.models.adapter_file import BASE, BASE_HASH, CONF, adapter_metadata
from espnet2.models.find import ModelFiles, find_model
from espnet2.ssl.adapt import LoraConfig, is_adapter, merge_adapters
from espnet2.tasks.build import read_weights
from espnet2.tasks.config import dump_config, load_config
from espnet2.tasks.portable import portable_config
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write, hash_bytes

PARTS = ("frontend.", "encoder.")  # what an adapter belongs to; objectives have heads of their own
STATISTICS = ("running_mean", "running_var")  # move in training though they are not trained: an adapter has its own


@dataclass(frozen=True)
class Adapter:
    """What the file holds."""

    base: str  # how the model it changes was called, without folders of the machine it was trained on
    base_hash: str  # `encoding_hash` of that model
    weights: Mapping[str, Tensor]  # of the adapted layers, by the names of the model


def encoding_hash(weights: Mapping[str, Tensor]) -> str:
    """Of frontend and encoder as they compute, in float32: the same in whatever file they lie."""
    hashes = []
    for name in sorted(name for name in weights if name.startswith(PARTS)):
        value = weights[name].detach().cpu()
        array = (value.float() if value.is_floating_point() else value).contiguous().numpy()
        hashes += [name, hash_bytes(str(array.shape), array.tobytes())]
    return hash_bytes(*hashes)


def difference(adapted: Mapping[str, Tensor], base: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """What a model with adapters has that its base has not.

    Args:
        adapted: weights with adapters, not merged.
        base: weights that they were added to.
        what: the adapted model and its base, for messages.

    Raises:
        UserError: there are no adapters, or other weights differ too: the base changed, or they were trained with it.
    """
    kept = {}
    for name, value in adapted.items():
        if not name.startswith(PARTS):
            continue
        value = value.detach().cpu().contiguous()
        if is_adapter(name):
            kept[name] = value
        elif name not in base or base[name].shape != value.shape or not bool((base[name].float() == value).all()):
            if not name.endswith(STATISTICS):
                raise UserError(
                    f"{what}: {name} is another than there: the base changed since the training, or it learned too "
                    "(adapt_conf: alone: false); the adapted model can be packed whole (ssl_pack)"
                )
            kept[name] = value
    if not any(is_adapter(name) for name in kept):
        raise UserError(f"{what}: there are no adapters (in an averaged checkpoint they are merged; take another)")
    return kept


def write_adapter(path: Path, weights: Mapping[str, Tensor], base: str, base_hash: str, conf: LoraConfig) -> int:
    """Write the file; its size in bytes.

    Args:
        weights: of `difference`.
        base: as the user calls the base; of an absolute path its last name alone is written.
    """
    name = Path(base).name if Path(base).is_absolute() else base
    about = {"format": "pt", BASE: name, BASE_HASH: base_hash, CONF: json.dumps(conf.model_dump(mode="json"))}
    data = save(dict(weights), about)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, "wb") as stream:
        stream.write(data)
    return len(data)


def save_adapter(files: ModelFiles, output: Path) -> int:
    """Write the adapters of a training that began with `init_from`; the size in bytes.

    Raises:
        UserError: it has none, it trained the base too, or the base is not what it was.
    """
    config = load_config(files.config_file)
    if config.adapt == "none" or config.init_from is None:
        raise UserError(f"{files.name}: was not trained with adapt: lora and init_from: it has no adapters")
    base_files = find_model(config.init_from)
    base = merge_adapters(read_weights(base_files.weights))
    kept = difference(read_weights(files.weights), base, f"{files.name} beside its base {base_files.name}")
    return write_adapter(output, kept, config.init_from, encoding_hash(base), config.adapt_conf)


def read_adapter(path: Path) -> Adapter:
    """Read the file.

    Raises:
        UserError: it is damaged, or no adapter.
    """
    about = adapter_metadata(path)
    if about is None:
        raise UserError(f"{path}: holds no adapters that ssl_save_adapter or ssl_finetune wrote, or is damaged")
    return Adapter(about[BASE], about[BASE_HASH], read_weights(path))


def write_merged(adapter_file: Path, base_name: str | None, folder: Path) -> None:
    """Write the base with the adapters merged into it, as a folder that `load_model` reads.

    Args:
        base_name: where the base is; None: where the adapter says.

    Raises:
        UserError: the base is not there, or not the one that the adapters were trained on.
    """
    adapter, files, base = read_with_base(adapter_file, base_name)
    merged = merge_adapters({**base, **adapter.weights})
    with new_folder(folder) as target:
        save_file({name: value.contiguous() for name, value in merged.items()}, target / "model.safetensors")
        config = portable_config(load_config(files.config_file).without_adapters())
        (target / "config.yaml").write_text(dump_config(config), encoding="utf-8")


def read_with_base(adapter_file: Path, base_name: str | None) -> tuple[Adapter, ModelFiles, dict[str, Tensor]]:
    """An adapter, and the model it belongs to with its weights; arguments and errors as of `write_merged`."""
    adapter = read_adapter(adapter_file)
    name = base_name or adapter.base
    remedy = f"say where it is: {adapter_file}@<model>"
    try:
        files = find_model(name)
    except UserError as error:
        raise UserError(f"{adapter_file}: its base {name} cannot be had ({error}); {remedy}") from None
    base = merge_adapters(read_weights(files.weights))
    base_hash = encoding_hash(base)
    if base_hash != adapter.base_hash:
        raise UserError(
            f"{adapter_file}: was trained on {adapter.base} with hash {adapter.base_hash}, but {name} has {base_hash}: "
            f"the base changed, or is another one; give the one it was trained on, or {remedy}"
        )
    return adapter, files, base
