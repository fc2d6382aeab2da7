"""The form of fairseq, a checkpoint that is read and written without fairseq."""

from collections.abc import Mapping, Set
from pathlib import Path

import torch

from espnet2.formats.base import Reader, Writer
from espnet2.formats.compare import OtherSide
from espnet2.formats.fairseq_layout import SPECIAL_SYMBOLS, Layout, lacks_projection, lacks_small_kernels, to_layout
from espnet2.formats.fairseq_read import from_layout, other_side
from espnet2.formats.forms import Source, find_form
from espnet2.formats.incoming import Foreign
from espnet2.formats.safe_pickle import load_foreign, only_tensors, plain
from espnet2.formats.settings import Settings
from espnet2.ssl.encoder.stack_config import StackConfig
from espnet2.ssl.frontend.conv import ConvFrontend
from espnet2.utils.errors import UserError

MODEL, DICTIONARY = "model.pt", "dict.km.txt"
NAMES = {"data2vec": "data2vec_audio", "data2vec2": "data2vec_multi"}


def _lacks_bias(frontend: ConvFrontend.Config, encoder: StackConfig) -> list[str]:
    """The audio encoder of data2vec 2.0 has convolutions without bias, and writes its width as a ratio."""
    missing = ["frontend_conf: bias: true"] if frontend.bias else []
    return missing + lacks_small_kernels(frontend, encoder)


FORMS = {
    "wav2vec2": lacks_projection,
    "wavlm": lacks_projection,
    "data2vec": lacks_small_kernels,
    "data2vec2": _lacks_bias,
}


def _checkpoint(layout: Layout) -> dict[str, object]:
    """The keys that fairseq's checkpoint_utils looks for; Microsoft's own two for WavLM."""
    if layout.kind == "wavlm":
        return {"cfg": layout.model | {"normalize": layout.task["normalize"]}, "model": layout.weights}
    name = NAMES.get(layout.kind, layout.kind)
    cfg: dict[str, object] = {"_name": None, "model": {"_name": name} | layout.model, "task": layout.task}
    return {
        "args": None,
        "cfg": cfg | {"common": {}, "criterion": None, "optimizer": None, "lr_scheduler": None},
        "model": layout.weights,
        "optimizer_history": [],
        "task_state": {},
        "extra_state": {},
        "last_optimizer_state": None,
    }


def _model_and_task(settings: Settings) -> tuple[Settings, Settings]:
    """Of a `cfg` they are sections; the `args` of earlier versions hold both in one."""
    if isinstance(settings.get("model"), dict):
        return settings.section("model"), settings.section("task")
    return settings, settings


class Fairseq(Reader, Writer):
    """Checkpoints of fairseq, and of what was trained with it."""

    title = "fairseq"
    layers = "output_layer=l of extract_features is layer l, from 1"
    other_side = "the file read back: in torchaudio for wav2vec 2.0, HuBERT and WavLM, in this toolkit for data2vec"
    order = 30

    def write(self, source: Source, folder: Path) -> list[str]:
        """model.pt: plain dicts and tensors; for HuBERT also dict.km.txt, which its task reads.

        Returns:
            Names of weights that the format does not hold.
        """
        layout = to_layout(source, find_form(source, self.title, FORMS))
        torch.save(_checkpoint(layout), folder / MODEL)
        if layout.symbols:
            labels = layout.symbols[len(SPECIAL_SYMBOLS) :]
            (folder / DICTIONARY).write_text("".join(f"{label} 1\n" for label in labels), encoding="utf-8")
        return layout.left_out

    def read(self, path: Path) -> Foreign:
        """A checkpoint with `cfg`, or with the `args` of earlier versions; a folder is one of `write`.

        Raises:
            UserError: the file is damaged, no checkpoint of fairseq, or has no form here.
        """
        path = path / MODEL if path.is_dir() else path
        content = load_foreign(path)
        if not isinstance(content, Mapping) or "model" not in content or not content.keys() & {"cfg", "args"}:
            raise UserError(f"{path}: no checkpoint of fairseq; expected the keys model and cfg or args")
        cfg = plain(content.get("cfg")) or plain(content.get("args"))
        if not isinstance(cfg, dict):
            raise UserError(f"{path}: neither cfg nor args is a mapping")
        model, task = _model_and_task(Settings(cfg, path))
        if isinstance(model.get("w2v_args"), dict):  # fine-tuned: the pre-trained model's settings lie inside
            model, task = _model_and_task(model.section("w2v_args"))
        return from_layout(model.values, task.values, only_tensors(content["model"], path), path)

    def run(self, path: Path) -> OtherSide:
        """The file as it is read back; fairseq itself does not install on current Python."""
        file = path / MODEL if path.is_dir() else path
        return other_side(self.read(file), file)

    def recognises(self, path: Path, keys: Set[str]) -> bool:
        return "model" in keys and not keys.isdisjoint({"cfg", "args"})
