"""The form of s3prl: a file that its upstream classes load."""

from collections.abc import Mapping, Set
from pathlib import Path

import torch

from espnet2.formats.base import Reader, Writer
from espnet2.formats.compare import OtherSide
from espnet2.formats.fairseq import Fairseq
from espnet2.formats.fairseq_layout import lacks_projection, lacks_small_kernels, to_layout
from espnet2.formats.fairseq_read import from_layout, other_side
from espnet2.formats.forms import Source, find_form
from espnet2.formats.incoming import Foreign
from espnet2.formats.safe_pickle import load_foreign, only_tensors, plain
from espnet2.formats.settings import Settings
from espnet2.utils.errors import UserError

MODEL = "model.pt"
FORMS = {"wav2vec2": lacks_projection, "wavlm": lacks_projection, "data2vec": lacks_small_kernels}


class S3prl(Reader, Writer):
    """Checkpoints that s3prl's upstream classes load."""

    title = "s3prl"
    layers = "hidden_states[l] is layer l, 0 is the encoder's input after positions; the last one has the final norm"
    other_side = "the file read back: in torchaudio for wav2vec 2.0, HuBERT and WavLM, in this toolkit for data2vec"
    order = 20

    def write(self, source: Source, folder: Path) -> list[str]:
        """model.pt, for `UpstreamExpert(ckpt)` of s3prl.upstream.{hubert,wav2vec2,wavlm,data2vec}.expert.

        Returns:
            Names of weights that the format does not hold.
        """
        layout = to_layout(source, find_form(source, self.title, FORMS))
        weights: dict[str, object] = dict(layout.weights)
        if layout.kind == "data2vec":  # its class takes a teacher out of the file, and has no head left then
            kept = {name: value for name, value in weights.items() if not name.startswith("final_proj")}
            weights = kept | {"_ema": {}}
        content: dict[str, object]
        if layout.kind == "wavlm":  # as Microsoft published it
            content = {"cfg": layout.model | {"normalize": layout.task["normalize"]}, "model": weights}
        else:
            content = {"task_cfg": layout.task, "model_cfg": layout.model, "model_weight": weights}
        if layout.kind == "hubert":
            content["dictionaries_symbols"] = [layout.symbols]
        torch.save(content, folder / MODEL)
        return layout.left_out

    def read(self, path: Path) -> Foreign:
        """A converted checkpoint of s3prl, or WavLM's own; a folder is one of `write`.

        Raises:
            UserError: the file is damaged, no checkpoint of s3prl, or has no form here.
        """
        path = path / MODEL if path.is_dir() else path
        content = load_foreign(path)
        if not isinstance(content, Mapping):
            content = {}
        if {"cfg", "model"} <= content.keys():
            return Fairseq().read(path)
        if not {"task_cfg", "model_cfg", "model_weight"} <= content.keys():
            raise UserError(f"{path}: no checkpoint of s3prl; expected the keys task_cfg, model_cfg and model_weight")
        configs = Settings({key: plain(content[key]) for key in ("model_cfg", "task_cfg")}, path)
        model, task = configs.section("model_cfg").values, configs.section("task_cfg").values
        symbols = content.get("dictionaries_symbols") or [None]
        return from_layout(model, task, only_tensors(content["model_weight"], path), path, symbols[0])

    def run(self, path: Path) -> OtherSide:
        """The file as it is read back: s3prl's package does not import beside current torchaudio."""
        return other_side(self.read(path), path)

    def recognises(self, path: Path, keys: Set[str]) -> bool:
        return {"model_cfg", "task_cfg", "model_weight"} <= keys
