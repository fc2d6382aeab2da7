"""The form of this toolkit: a folder with full-precision weights and the config; export only."""

from pathlib import Path

from safetensors.torch import save_file

from espnet2.formats.base import Writer
from espnet2.formats.compare import OtherSide, normalised, our_states
from espnet2.formats.forms import Source
from espnet2.tasks.blank import WithoutDraws
from espnet2.tasks.build import build, load_weights, read_weights, teacher_names
from espnet2.tasks.config import dump_config, load_config


class Safetensors(Writer):
    """This toolkit's own form, in full precision."""

    title = "safetensors"
    layers = "as in this toolkit: 1 to the number of blocks; 0 is the encoder's input after positions"
    other_side = "the same model loaded from the folder"

    def write(self, source: Source, folder: Path) -> list[str]:
        """model.safetensors and config.yaml; no form is without one.

        Returns:
            Names of weights left out: copies of the encoder that only training needs.
        """
        teacher = teacher_names(source.model)
        state = {name: value.contiguous() for name, value in source.model.state_dict().items() if name not in teacher}
        about = {"format": "pt", "teacher": "left out" if teacher else "complete"}
        save_file(state, folder / "model.safetensors", about)
        (folder / "config.yaml").write_text(dump_config(source.config), encoding="utf-8")
        return sorted(teacher)

    def run(self, folder: Path) -> OtherSide:
        """The model built from the two files, as whoever loads the folder does it."""
        with WithoutDraws():
            model = build(load_config(folder / "config.yaml")).eval()
        load_weights(model, read_weights(folder / "model.safetensors"))
        return OtherSide(lambda wav: our_states(model, wav), lambda wav: normalised(model, wav))
