"""A trained model in, its conversion beside a card with the measured difference out; or nothing, where they differ."""

import importlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from espnet2.ssl.export.compare import largest_difference
from espnet2.ssl.export.forms import Source
from espnet2.tasks.ssl import find_weights
from espnet2.utils.errors import UserError
from espnet2.utils.files import write_json

# Format -> the module of this package with write(source, folder) -> names left out, run(folder) -> OtherSide, and the
# texts TITLE, LAYERS and OTHER_SIDE.
EXPORTS = {
    "huggingface": "huggingface",
    "torchaudio": "torchaudio_model",
    "fairseq": "fairseq_file",
    "s3prl": "s3prl_file",
    "safetensors": "safetensors_folder",
    "onnx": "onnx_graph",
}
CARD = "conversion.json"
RESIDUAL = "layer l is the full output of block l: after its residuals and, where blocks are post-LN, after its norm"
SCALING = {
    "none": "none: samples between -1 and 1",
    "utterance": "every utterance to zero mean and unit variance",
}


def export_model(path: str | Path, target: str, output: str | Path, *, tag: str = "latest") -> dict[str, Any]:
    """Convert a trained model, run both sides on the same sounds, and keep the result only if they agree.

    Args:
        path, tag: as for `load_model`.
        target: a key of EXPORTS.
        output: a folder that is not there yet.

    Returns:
        The card, as it stands in <output>/conversion.json.

    Raises:
        UserError: no such model; the library is not installed, or has no form of this architecture; the sides differ.
    """
    source, module = Source.load(path, tag), format_module(EXPORTS[target])
    with new_folder(output) as folder:
        left_out = module.write(source, folder)
        figures = largest_difference(source.model, module.run(folder))
        card = describe(source, target, module) | figures
        card |= {"weights_left_out": left_out, "training_data": _data_hashes(path, tag)}
        write_json(folder / CARD, card)
    return card


def format_module(name: str) -> ModuleType:
    """The module of a format, which may load a library that not everybody has."""
    return importlib.import_module(f"espnet2.ssl.export.{name}")


def describe(source: Source, other: str, module: ModuleType) -> dict[str, Any]:
    """What a user of the converted model has to know."""
    frontend = source.model.frontend
    return {
        "model": source.name,
        "model_hash": source.hash,
        "objective": source.objective,
        "format": other,
        "layer_numbering": module.LAYERS,
        "residual_convention": RESIDUAL,
        "num_layers": source.model.encoder.num_layers,
        "sample_rate": frontend.geometry.sample_rate,
        "frame_rate": frontend.geometry.frame_rate,
        "waveform_normalisation": SCALING[frontend.normalize],
        "compared_with": module.OTHER_SIDE,
    }


def _data_hashes(path: str | Path, tag: str) -> dict[str, Any]:
    """Hashes of the indexes and labels it was trained on, from its checkpoint; empty where that is gone."""
    checkpoint = find_weights(path, tag=tag).parent
    for folder in (checkpoint, checkpoint.parent / "latest"):
        file = folder / "state" / "training.json"
        if file.is_file():
            return json.loads(file.read_text(encoding="utf-8")).get("identity", {}).get("data", {})
    return {}


@contextmanager
def new_folder(output: str | Path) -> Iterator[Path]:
    """A folder that becomes `output` when the block ends without an error, and else disappears.

    Raises:
        UserError: `output` is there already.
    """
    output = Path(output)
    if output.exists():
        raise UserError(f"{output}: is there already; remove it, or choose another --output")
    output.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        yield folder
        folder.chmod(0o755)  # mkdtemp makes private folders; a cluster's other users read ours
        folder.rename(output)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
