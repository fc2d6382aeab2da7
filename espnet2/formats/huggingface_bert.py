"""w2v-BERT 2.0 of transformers (`Wav2Vec2BertModel`), both directions: stacked log-mel, causal conformer blocks."""

from pathlib import Path

import torch
from torch import Tensor

from espnet2.formats import forms, names
from espnet2.formats.canonical import rename, reverse
from espnet2.formats.compare import OtherSide, States
from espnet2.formats.forms import Source, library
from espnet2.formats.huggingface_folder import (
    CONFIG,
    activation_of,
    extractor_settings,
    fill,
    read_settings,
    read_state,
    split_state,
)
from espnet2.formats.incoming import Foreign, Values, require
from espnet2.formats.settings import Settings
from espnet2.ssl.encoder.conformer import ConformerEncoder
from espnet2.ssl.frontend.fbank import FbankFrontend
from espnet2.utils.errors import UserError

MODEL_TYPE = "wav2vec2-bert"
EXTRACTOR = "SeamlessM4TFeatureExtractor"
# What the configuration class takes for a key that config.json does not have.
DEFAULTS: dict[str, int | list[int]] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feature_projection_input_dim": 160,
    "conv_depthwise_kernel_size": 31,
}
POSITIONS = {"relative_key": "relative_key", "relative": "relative", "rotary": "rotary_input", None: "none"}
# The feature extractor of SeamlessM4T, which has no options for these; its windows are 400 samples at any rate.
FRONTEND: dict[str, object] = {
    "sample_rate": 16000,
    "window": "kaldi",
    "window_seconds": 0.025,
    "sample_scale": "int16",
    "mel_norm": "utterance",
    "mel_variance": "sample",
    "mel_norm_eps": 1e-7,
    "subsample": "stack",
    "layer_norm": True,
    "project": True,
}
ENCODER: dict[str, object] = {
    "position": "none",
    "conv_norm": "layer",
    "conv_bias": False,
    "conv_causal": True,
    "final_norm": False,
    "norm_eps": 1e-5,
    "long_skips": False,
}
FFT_SIZES = (None, 512)
PADDING = 1  # value of padded mel frames in facebook/w2v-bert-2.0; the attention mask hides them
ADAPTER = ("adapter.", "intermediate_ffn.")  # of what stands behind the encoder, beginnings of names
NO_ADAPTER = {"add_adapter": False, "use_intermediate_ffn_before_adapter": False}


def write(source: Source, folder: Path, title: str) -> list[str]:
    """config.json, model.safetensors, preprocessor_config.json.

    Returns:
        Names of weights that the format does not hold.

    Raises:
        UserError: the model differs from what the class computes; the message names every key in the way.
    """
    frontend, encoder = _require_form(source, title)
    transformers = library("transformers", forms.TRANSFORMERS)
    renamed, left = rename(source.weights(), names.TRANSFORMERS_BERT)
    positions = {ours: theirs for theirs, ours in POSITIONS.items()}
    config = transformers.Wav2Vec2BertConfig(
        hidden_size=encoder.dim,
        num_hidden_layers=encoder.num_layers,
        num_attention_heads=encoder.num_heads,
        intermediate_size=encoder.ffn_dim,
        feature_projection_input_dim=frontend.num_mels * frontend.stack_frames,
        conv_depthwise_kernel_size=encoder.conv_kernel,
        position_embeddings_type=positions[encoder.attention_position],
        left_max_position_embeddings=encoder.relative_key_left,
        right_max_position_embeddings=encoder.relative_key_right,
        hidden_dropout=encoder.dropout,
        attention_dropout=encoder.attention_dropout,
        activation_dropout=encoder.activation_dropout,
        conformer_conv_dropout=encoder.dropout,
        feat_proj_dropout=frontend.dropout,
        layerdrop=encoder.layerdrop,
        architectures=["Wav2Vec2BertModel"],
    )
    with torch.device("meta"):
        model = transformers.Wav2Vec2BertModel(config)
    model = model.to_empty(device="cpu")
    fill(model, renamed)
    model.save_pretrained(folder)
    transformers.SeamlessM4TFeatureExtractor(
        feature_size=frontend.num_mels,
        num_mel_bins=frontend.num_mels,
        stride=frontend.stack_frames,
        padding_value=PADDING,
    ).save_pretrained(folder)
    return left


def _require_form(source: Source, title: str) -> tuple[FbankFrontend.Config, ConformerEncoder.Config]:
    """The two configs, if the class computes what they say."""
    frontend, encoder, missing = source.config.frontend_conf, source.encoder, []
    assert isinstance(frontend, FbankFrontend.Config), source.config.frontend
    if not isinstance(encoder, ConformerEncoder.Config):
        missing.append(f"encoder: {source.config.encoder} with frontend: fbank, which conformers alone have there")
    else:
        if encoder.attention_position not in POSITIONS.values():
            missing.append(f"encoder_conf: attention_position: {encoder.attention_position}")
        missing += forms.unusual(encoder, ENCODER, "encoder_conf")
        missing += forms.unusual(frontend, FRONTEND, "frontend_conf")
        if frontend.fft_size not in FFT_SIZES:
            missing.append(f"frontend_conf: fft_size: {frontend.fft_size}")
    if missing or not isinstance(encoder, ConformerEncoder.Config):
        raise UserError(
            f"{source.name}: this architecture has no form in {title}: {'; '.join(missing)} (with frontend: fbank "
            "it has w2v-BERT 2.0 alone, see doc/export.md)"
        )
    return frontend, encoder


def read(path: Path) -> Foreign:
    """A folder of w2v-BERT 2.0; what its adapter holds is left aside.

    Raises:
        UserError: files are missing or damaged, or the architecture has no form here.
    """
    settings = read_settings(path, DEFAULTS)
    require(
        {**settings.values, "hidden_act": activation_of(settings, "swish")},
        {"hidden_act": "swish", "layer_norm_eps": 1e-5, "rotary_embedding_base": 10000},
        path / CONFIG,
    )
    frontend, notes = _frontend_values(settings, path)
    body, heads = split_state(read_state(path), ("wav2vec2_bert.",))
    weights, left = rename(body, reverse(names.TRANSFORMERS_BERT))
    adapter = [name for name in left if name.startswith(ADAPTER)]
    if adapter:
        notes.append(
            f"{path}: the adapter behind the encoder ({len(adapter)} weights) has no place here and is left aside; "
            "layers and the encoder's output are those before it"
        )
    encoder = _encoder_values(settings, path)
    values: Values = {
        "frontend": "fbank",
        "frontend_conf": frontend,
        "encoder": "conformer",
        "encoder_conf": encoder,
        "loss": [_loss(settings.whole("num_hidden_layers"), "objective.mask_embedding" in weights)],
    }
    return Foreign(values, weights, left + sorted(heads), notes)


def _loss(num_layers: int, has_mask: bool) -> Values:
    """w2v-BERT's, whose heads are not released; one block alone has no place for both of its tasks."""
    if num_layers == 1:
        return {"name": "wav2vec2", "conf": {}}
    conf: Values = {"contrastive_layers": num_layers // 2}
    return {"name": "w2v_bert", "conf": conf | ({"mask_value": "learned"} if has_mask else {})}


def _encoder_values(settings: Settings, path: Path) -> Values:
    """`encoder_conf`."""
    kind = settings.get("position_embeddings_type", "relative_key")
    if kind not in POSITIONS:
        known = ", ".join("null" if name is None else str(name) for name in POSITIONS)
        raise UserError(f"{path / CONFIG}: position_embeddings_type {kind} has no form here; expected one of {known}")
    encoder: Values = {
        "num_layers": settings.whole("num_hidden_layers"),
        "dim": settings.whole("hidden_size"),
        "num_heads": settings.whole("num_attention_heads"),
        "ffn_dim": settings.whole("intermediate_size"),
        "conv_kernel": settings.whole("conv_depthwise_kernel_size"),
        "attention_position": POSITIONS[kind],
        **{key: ENCODER[key] for key in ("position", "conv_norm", "conv_bias", "conv_causal")},
    }
    if kind == "relative_key":
        encoder["relative_key_left"] = settings.whole("left_max_position_embeddings", 64)
        encoder["relative_key_right"] = settings.whole("right_max_position_embeddings", 8)
    return encoder


def _frontend_values(settings: Settings, path: Path) -> tuple[Values, list[str]]:
    """`frontend_conf`, and what was assumed."""
    inside = extractor_settings(path)
    extractor, notes = Settings(inside, path / "preprocessor_config.json"), []
    kind = inside.get("feature_extractor_type", EXTRACTOR)
    if kind != EXTRACTOR:
        raise UserError(f"{extractor.where}: feature_extractor_type {kind}, but w2v-BERT 2.0 reads mel of {EXTRACTOR}")
    rate, width = extractor.whole("sampling_rate", 16000), settings.whole("feature_projection_input_dim")
    if rate != 16000:
        raise UserError(
            f"{extractor.where}: sampling_rate {rate} has no form here; expected 16000: {EXTRACTOR} has windows of 400 "
            "samples at every rate, which are 25 ms at this one alone"
        )
    num_mels, stride = extractor.whole("num_mel_bins", 80), extractor.whole("stride", 2)
    if num_mels * stride != width:
        raise UserError(
            f"{path}: {num_mels} mel bins of {stride} frames are {num_mels * stride} values, but {CONFIG} has "
            f"feature_projection_input_dim {width}"
        )
    if not inside:
        notes.append(
            f"{path}: no preprocessor_config.json or processor_config.json; assumed {num_mels} mel bins and {stride} "
            f"frames side by side, as the released w2v-BERT 2.0"
        )
    values: Values = {"num_mels": num_mels, "stack_frames": stride, **FRONTEND}
    return {key: value for key, value in values.items() if key != "project"}, notes


def run(folder: Path) -> OtherSide:
    """The model as any user of transformers loads it, without the adapter that may stand behind it."""
    transformers = library("transformers", forms.TRANSFORMERS)
    # In single precision, whatever the weights were saved in: the comparison is of architectures.
    model = transformers.AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32, **NO_ADAPTER)
    model = model.eval()
    if extractor_settings(folder):
        extractor = transformers.AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
    else:
        extractor = transformers.SeamlessM4TFeatureExtractor()

    @torch.no_grad()
    def states(wav: Tensor) -> States:
        inputs = extractor(wav.numpy(), sampling_rate=extractor.sampling_rate, return_tensors="pt")
        num_frames = int(inputs["attention_mask"].sum())  # one more is made of padding where mel frames are left over
        output = model(**inputs, output_hidden_states=True)
        layers: dict[int | str, Tensor] = {
            layer: state[0, :num_frames] for layer, state in enumerate(output.hidden_states[:-1])
        }
        return layers | {"last": output.last_hidden_state[0, :num_frames]}

    return OtherSide(states, lambda wav: wav)
