"""What conversions share: the card of a result, and a folder that is whole or not there."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

from espnet2.formats.base import Format
from espnet2.formats.compare import DifferenceJson
from espnet2.formats.forms import Source
from espnet2.utils.errors import UserError

CARD = "conversion.json"
RESIDUAL = "layer l is the full output of block l: after its residuals and, where blocks are post-LN, after its norm"
SCALING = {
    "none": "none: samples between -1 and 1",
    "utterance": "every utterance to zero mean and unit variance",
}


class ConversionJson(TypedDict):
    """What the card of a conversion says about the model."""

    model: str
    model_hash: str  # of its weights
    objective: str
    format: str
    layer_numbering: str
    residual_convention: str
    num_layers: int
    sample_rate: int  # Hz
    frame_rate: float  # frames per second
    waveform_normalisation: str
    compared_with: str


class ImportJson(ConversionJson, DifferenceJson):
    """conversion.json of an imported model."""

    weights_left_out: list[str]
    weights_new_and_random: list[str]


class ExportJson(ConversionJson, DifferenceJson):
    """conversion.json of an exported model."""

    weights_left_out: list[str]
    training_data: dict[str, object]  # hashes of indexes and labels


def describe(source: Source, name: str, form: Format) -> ConversionJson:
    """What a user of the converted model has to know."""
    frontend = source.model.frontend
    return {
        "model": source.name,
        "model_hash": source.hash,
        "objective": source.objective,
        "format": name,
        "layer_numbering": form.layers,
        "residual_convention": RESIDUAL,
        "num_layers": source.model.encoder.num_layers,
        "sample_rate": frontend.geometry.sample_rate,
        "frame_rate": frontend.geometry.frame_rate,
        "waveform_normalisation": SCALING[frontend.normalize],
        "compared_with": form.other_side,
    }


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
