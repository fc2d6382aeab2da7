"""A trained model in, its conversion beside a card with the measured difference out; or nothing, where they differ."""

from pathlib import Path

from espnet2.formats import find_writer
from espnet2.formats.compare import largest_difference
from espnet2.formats.conversion import CARD, ExportJson, describe, new_folder
from espnet2.formats.forms import Source
from espnet2.models.find import ModelFiles
from espnet2.models.load import LoadedModel
from espnet2.utils.files import require_json, write_json


def export_model(loaded: LoadedModel, target: str, output: str | Path) -> ExportJson:
    """Convert a trained model, run both sides on the same sounds, and keep the result only if they agree.

    Args:
        loaded: stays as it is.
        target: one of `writer_names`.
        output: a folder that is not there yet.

    Returns:
        The card, as it stands in <output>/conversion.json.

    Raises:
        UserError: the library is not installed, or has no form of this architecture; the sides differ.
    """
    source, writer = as_source(loaded), find_writer(target)
    with new_folder(output) as folder:
        left_out = writer.write(source, folder)
        card: ExportJson = {
            **describe(source, target, writer),
            **largest_difference(source.model, writer.run(folder)),
            "weights_left_out": left_out,
            "training_data": _data_hashes(loaded.files),
        }
        write_json(folder / CARD, card)
    return card


def as_source(loaded: LoadedModel) -> Source:
    """What a format reads."""
    return Source(Path(loaded.files.name).absolute().name, loaded.model, loaded.config, loaded.hash)


def _data_hashes(files: ModelFiles) -> dict[str, object]:
    """Hashes of the indexes and labels it was trained on, from its checkpoint; empty where that is gone."""
    checkpoint = files.weights.parent
    for folder in (checkpoint, checkpoint.parent / "latest"):
        file = folder / "state" / "training.json"
        if file.is_file():
            identity = require_json(file, "export another checkpoint").get("identity", {})
            return dict(identity.get("data", {}))
    return {}
