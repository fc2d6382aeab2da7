"""The form of ESPnet's own hubert1 and ssl1, a .pth file; import only."""

from collections.abc import Mapping, Set
from pathlib import Path

import yaml
from torch import Tensor

from espnet2.formats import espnet_ssl1, names, torchaudio
from espnet2.formats.base import Reader
from espnet2.formats.canonical import modern_weight_norm, rename, reverse
from espnet2.formats.compare import OtherSide
from espnet2.formats.espnet_forward import hidden_states
from espnet2.formats.fairseq_read import from_layout, other_side
from espnet2.formats.incoming import Foreign, model_values
from espnet2.formats.safe_pickle import load_foreign, only_tensors
from espnet2.formats.settings import Settings
from espnet2.utils.errors import UserError

# Beginnings of names, by what ESPnet's encoder wraps.
TORCHAUDIO, FAIRSEQ = "encoder.hubert_pretrain_model.", "encoder.encoder."
# What ESPnet's TorchAudioHuBERTPretrainEncoder takes where config.yaml says nothing: HuBERT Base.
DEFAULTS: dict[str, object] = {
    "extractor_mode": "group_norm",
    "extractor_conv_layer_config": [[512, 10, 5], *[[512, 3, 2]] * 4, *[[512, 2, 2]] * 2],
    "extractor_conv_bias": False,
    "encoder_embed_dim": 768,
    "encoder_pos_conv_kernel": 128,
    "encoder_pos_conv_groups": 16,
    "encoder_num_layers": 12,
    "encoder_num_heads": 12,
    "encoder_ff_interm_features": 3072,
    "encoder_layer_norm_first": False,
}


def _from_torchaudio(state: Mapping[str, Tensor], settings: Settings, config: Settings) -> Foreign:
    """torchaudio's HuBERTPretrainModel: its encoder, the mask vector and the head."""
    weights, left = rename(modern_weight_norm(state), reverse(names.TORCHAUDIO_PRETRAINING))
    scaled = config.flag("normalize") or config.section("collate_fn_conf").flag("normalize")
    frontend, encoder = torchaudio.values_of(settings, normalize=scaled)
    return Foreign(model_values(frontend, encoder, "hubert", weights), weights, left)


def _fairseq_settings(settings: Mapping[str, object]) -> dict[str, object]:
    """The names ESPnet's FairseqHubertPretrainEncoder gives fairseq's settings."""
    known = {
        "output_size": "encoder_embed_dim", "linear_units": "encoder_ffn_embed_dim", "num_blocks": "encoder_layers",
        "attention_heads": "encoder_attention_heads",
    }  # fmt: skip
    return {theirs: settings[ours] for ours, theirs in known.items() if ours in settings} | {
        key: value for key, value in settings.items() if key in ("layer_norm_first", "conv_bias", "conv_feature_layers")
    }


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _load(path: Path) -> tuple[Path, Settings, dict[str, Tensor]]:
    """The file with the weights, its config.yaml, and its state dict, which a whole checkpoint has below `model`."""
    file, config = _files(path)
    content = load_foreign(file)
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    return file, config, only_tensors(content, file)


def _files(path: Path) -> tuple[Path, Settings]:
    """The weights, and what the config.yaml beside them says."""
    if path.is_dir():
        candidates = [
            path / name for name in ("valid.loss.best.pth", "valid.loss.ave.pth", "latest.pth", "checkpoint.pth")
        ]
        files = [file for file in candidates if file.is_file()] or sorted(path.glob("*.pth"))
        if not files:
            raise UserError(f"{path}: no .pth file in there")
        path = files[0]
    config = path.parent / "config.yaml"
    if not config.is_file():
        raise UserError(f"{config}: no such file; ESPnet writes it beside {path.name}, and it tells heads and strides")
    try:
        values = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{config}: not plain YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(values, dict):
        raise UserError(f"{config}: expected 'key: value' lines")
    return path, Settings(values, f"{path}: config.yaml")


class Espnet(Reader):
    """Models of ESPnet's own hubert1 and ssl1."""

    title = "ESPnet"
    layers = (
        "hubert1: layer l of extract_features of the torchaudio model inside, from 1; ssl1: "
        "inference_encode()[1][l - 1] is layer l, and [0] has the norm after the last block where there is one"
    )
    other_side = "hubert1: torchaudio.models, whose HuBERT is inside ESPnet's; ssl1: its forward pass in plain torch"
    order = 40

    def read(self, path: Path) -> Foreign:
        """A model .pth (or the folder of `--output_dir` with valid.loss.best.pth or latest.pth) and its config.yaml.

        Raises:
            UserError: a file is missing or damaged, or the model is neither of hubert1 nor one of ssl1 with a form
                here.
        """
        file, config, state = _load(path)
        if espnet_ssl1.is_ssl1(state):
            return espnet_ssl1.read(state, config, file)
        settings = Settings({**DEFAULTS, **config.section("encoder_conf").values}, config.where)
        if any(name.startswith(TORCHAUDIO) for name in state):
            return _from_torchaudio(_below(state, TORCHAUDIO), settings, config)
        if any(name.startswith(FAIRSEQ) for name in state):
            task = {"normalize": config.flag("normalize"), "sample_rate": 16000}
            return from_layout(_fairseq_settings(settings.values), task, _below(state, FAIRSEQ), file)
        expected = f"{TORCHAUDIO}* or {FAIRSEQ}* (hubert1), or {espnet_ssl1.BLOCKS}* (ssl1)"
        raise UserError(f"{file}: no model of ESPnet's hubert1 or ssl1; expected weights named {expected}")

    def run(self, path: Path) -> OtherSide:
        """The model inside, in torchaudio; or a reading of ESPnet's own code on its own names."""
        _, config, state = _load(path)
        if not espnet_ssl1.is_ssl1(state):
            return other_side(self.read(path), path)
        settings = espnet_ssl1.settings_of(config)
        return OtherSide(lambda wav: hidden_states(state, settings.values, wav), lambda wav: wav, scales=True)

    def recognises(self, path: Path, keys: Set[str]) -> bool:
        return {"model", "optimizers"} <= keys or any(key.startswith("encoder.") for key in keys)
