"""The form of transformers: a folder that AutoModel and AutoFeatureExtractor load."""

from collections.abc import Mapping, Set
from pathlib import Path

import torch
from torch import Tensor

from espnet2.formats import forms, huggingface_bert, huggingface_conformer, names
from espnet2.formats.base import Reader, Writer
from espnet2.formats.canonical import rename, reverse
from espnet2.formats.compare import OtherSide, States
from espnet2.formats.forms import Source, conv_layers, find_form, is_pre_norm, library
from espnet2.formats.huggingface_folder import (
    CONFIG,
    Scaling,
    activation_of,
    conv_layers_of,
    fill,
    model_type,
    read_scaling,
    read_settings,
    read_state,
    split_state,
)
from espnet2.formats.incoming import Foreign, Values, frontend_values, model_values, require
from espnet2.formats.settings import Settings
from espnet2.ssl.objective.wav2vec2 import Wav2Vec2Config
from espnet2.utils.errors import UserError

CONFORMER = huggingface_conformer.MODEL_TYPE
FORMS = {
    "wav2vec2": forms.nothing_lacks,
    "wavlm": forms.nothing_lacks,
    "data2vec": forms.lacks_data2vec,
    "conformer": forms.lacks_conformer,
}
# Class of the model by form; the body of wav2vec 2.0 has several names.
CLASSES = {"wavlm": "WavLMModel", "data2vec": "Data2VecAudioModel", "conformer": "Wav2Vec2ConformerModel"}
# Families of the body of wav2vec 2.0 -> what goes on with them.
OBJECTIVES = {"hubert": "hubert", "wav2vec2": "wav2vec2", "wavlm": "wavlm", "data2vec-audio": "data2vec2"}
OBJECTIVES |= {CONFORMER: "wav2vec2", "unispeech": "wav2vec2", "unispeech-sat": "hubert"}
QUANTIZED = ("wav2vec2", CONFORMER)  # whose quantizer and heads have a place here
SQUEEZED = "pools frames in front of its blocks and spreads them again behind, which no encoder here does"
REFUSED = {  # other families of speech, and why
    "sew": f"SEW {SQUEEZED}, and its convolutions have different widths",
    "sew-d": f"SEW-D {SQUEEZED}, and its attention is DeBERTa's",
    "seamless_m4t": "SeamlessM4T is a translation model; w2v-BERT 2.0, which its speech encoder began as, is read",
    "seamless_m4t_v2": "SeamlessM4T is a translation model; w2v-BERT 2.0, which its speech encoder began as, is read",
    "whisper": "Whisper is a recogniser, whose encoder reads 30 seconds of mel and learned positions",
    "parakeet_ctc": "Parakeet's FastConformer subsamples by 8, which no encoder here does",
    "parakeet_encoder": "Parakeet's FastConformer subsamples by 8, which no encoder here does",
}
PREFIXES = ("hubert.", "wav2vec2.", "wavlm.", "data2vec_audio.", "wav2vec2_conformer.", "unispeech.", "unispeech_sat.")


def _table(class_name: str) -> dict[str, str]:
    if class_name == "Wav2Vec2ForPreTraining":
        return names.TRANSFORMERS_PRETRAINING
    return names.TRANSFORMERS_CONFORMER if "Conformer" in class_name else names.TRANSFORMERS


def _settings(source: Source, form: str) -> dict[str, object]:
    """What config.json says."""
    frontend, encoder, conf = source.frontend, source.encoder, source.conf
    channels, kernels, strides = zip(*conv_layers(frontend), strict=True)
    settings: dict[str, object] = {
        "hidden_size": encoder.dim,
        "num_hidden_layers": encoder.num_layers,
        "num_attention_heads": encoder.num_heads,
        "intermediate_size": encoder.ffn_dim,
        "hidden_dropout": encoder.dropout,
        "attention_dropout": encoder.attention_dropout,
        "activation_dropout": encoder.activation_dropout,
        "layerdrop": encoder.layerdrop,
        "feat_proj_dropout": frontend.dropout,
        "feat_extract_norm": frontend.norm,
        "conv_dim": list(channels),
        "conv_kernel": list(kernels),
        "conv_stride": list(strides),
        "conv_bias": frontend.bias,
        "num_conv_pos_embeddings": encoder.position_kernel,
        "num_conv_pos_embedding_groups": encoder.position_groups,
        "do_stable_layer_norm": is_pre_norm(encoder),
    }
    if form == "wavlm":
        settings |= {"num_buckets": encoder.num_buckets, "max_bucket_distance": encoder.max_distance}
    if form == "data2vec":
        settings |= {
            "num_conv_pos_embeddings": encoder.position_depth, "conv_pos_kernel_size": encoder.position_kernel,
        }  # fmt: skip
    if form == "conformer":
        settings |= huggingface_conformer.settings_of(source)
    if source.objective == "wav2vec2":
        assert isinstance(conf, Wav2Vec2Config)
        settings |= {
            "num_codevectors_per_group": conf.num_codes, "num_codevector_groups": conf.num_groups,
            "codevector_dim": conf.code_dim, "proj_codevector_dim": conf.final_dim,
            "feat_quantizer_dropout": conf.dropout_features, "num_negatives": conf.num_negatives,
            "contrastive_logits_temperature": conf.temperature, "diversity_loss_weight": conf.diversity_weight,
        }  # fmt: skip
    return settings


@torch.no_grad()
def states_of(model: torch.nn.Module, wav: Tensor) -> States:
    """Hidden layers of a model of transformers for one utterance."""
    output = model(wav[None], output_hidden_states=True)
    # The last entry is before the final norm in some versions, after it in others: last_hidden_state is the same.
    layers: dict[int | str, Tensor] = {layer: state[0] for layer, state in enumerate(output.hidden_states[:-1])}
    return layers | {"last": output.last_hidden_state[0]}


def _has_layer_norm(settings: Settings) -> bool:
    """Of the convolutions; these models were all trained on scaled waveforms, those with a group norm on plain ones."""
    return settings.get("model_type") == "data2vec-audio" or settings.get("feat_extract_norm", "group") == "layer"


def _scaling(settings: Settings, path: Path) -> Scaling:
    return read_scaling(path, normalizes=_has_layer_norm(settings))


def _notes(scaling: Scaling, path: Path) -> list[str]:
    if not scaling.is_assumed:
        return []
    scaled = "each utterance is scaled to zero mean and unit variance" if scaling.normalize else "no scaling"
    return [
        f"{path}: no preprocessor_config.json or processor_config.json says how waveforms are scaled; assumed from the "
        f'architecture: {scaled}. Put a preprocessor_config.json with "do_normalize" there to say it'
    ]


def _values(settings: Settings, kind: str, path: Path, weights: Mapping[str, Tensor]) -> tuple[Values, Values]:
    """`frontend_conf` and `encoder_conf`."""
    scaling = _scaling(settings, path)
    frontend = frontend_values(
        conv_layers_of(settings), path,
        norm="layer" if _has_layer_norm(settings) else settings.text("feat_extract_norm", "group"),
        bias=settings.flag("conv_bias"),
        normalize=scaling.normalize,
        sample_rate=scaling.sample_rate,
    )  # fmt: skip
    encoder: Values = {
        "num_layers": settings.whole("num_hidden_layers"),
        "dim": settings.whole("hidden_size"),
        "num_heads": settings.whole("num_attention_heads"),
        "ffn_dim": settings.whole("intermediate_size"),
        "position_kernel": settings.get("num_conv_pos_embeddings", 128),
        "position_groups": settings.get("num_conv_pos_embedding_groups", 16),
    }
    if kind == CONFORMER:
        encoder |= huggingface_conformer.values_of(settings, weights)
    elif kind == "data2vec-audio":
        encoder |= {"position": "conv_stack", "position_depth": settings.get("num_conv_pos_embeddings", 5)}
        encoder |= {"position_kernel": settings.get("conv_pos_kernel_size", 19), "layerdrop": 0.0}
    else:
        encoder["norm"] = "pre" if settings.flag("do_stable_layer_norm") else "post"
    if kind == "wavlm":
        encoder |= {"attention_position": "gated_relative", "num_buckets": settings.get("num_buckets", 320)}
        encoder |= {"max_distance": settings.get("max_bucket_distance", 800)}
    return frontend, encoder


class HuggingFace(Reader, Writer):
    """Folders of transformers' `save_pretrained`."""

    title = "Hugging Face transformers"
    layers = (
        "hidden_states[l] is layer l; 0 is the encoder's input after positions; last_hidden_state has the final norm"
    )
    other_side = "transformers.AutoModel and AutoFeatureExtractor, loaded from the folder"
    order = 50

    def write(self, source: Source, folder: Path) -> list[str]:
        """config.json, model.safetensors, preprocessor_config.json.

        Returns:
            Names of weights that the format does not hold.
        """
        if source.config.frontend == "fbank":
            return huggingface_bert.write(source, folder, self.title)
        form = find_form(source, self.title, FORMS)
        transformers = library("transformers", forms.TRANSFORMERS)
        bodies = {"hubert": "HubertModel", "wav2vec2": "Wav2Vec2ForPreTraining"}
        name = CLASSES.get(form) or bodies.get(source.objective)
        model_class = getattr(transformers, name or "Wav2Vec2Model")
        weights = huggingface_conformer.weights_of(source) if form == "conformer" else source.weights()
        renamed, left = rename(weights, _table(model_class.__name__))
        config = model_class.config_class(**_settings(source, form), architectures=[model_class.__name__])
        with torch.device("meta"):
            model = model_class(config)
        model = model.to_empty(device="cpu")
        fill(model, renamed)
        model.save_pretrained(folder)
        transformers.Wav2Vec2FeatureExtractor(
            sampling_rate=source.frontend.sample_rate,
            do_normalize=source.frontend.normalize == "utterance",
            return_attention_mask=source.frontend.norm == "layer",  # group norm over time sees padding: no mask helps
        ).save_pretrained(folder)
        return left

    def read(self, path: Path) -> Foreign:
        """A folder with config.json and the weights; preprocessor_config.json or processor_config.json say the scaling.

        Raises:
            UserError: files are missing or damaged, or the architecture has no form here.
        """
        kind = model_type(path)
        if kind == huggingface_bert.MODEL_TYPE:
            return huggingface_bert.read(path)
        if kind not in OBJECTIVES:
            known = ", ".join((*OBJECTIVES, huggingface_bert.MODEL_TYPE))
            why = f" ({REFUSED[kind]})" if kind in REFUSED else ""
            raise UserError(
                f"{path / CONFIG}: model_type {kind or 'none'} has no form here{why}; expected one of {known}"
            )
        settings = read_settings(path)
        usual = "swish" if kind == CONFORMER else "gelu"
        require(
            {**settings.values, "hidden_act": activation_of(settings, usual)},
            {
                "hidden_act": usual, "feat_extract_activation": "gelu", "layer_norm_eps": 1e-5, "add_adapter": False,
                "adapter_attn_dim": None, "feat_proj_layer_norm": True, "conv_pos_batch_norm": False,
                "rotary_embedding_base": 10000,
            },
            path / CONFIG,
        )  # fmt: skip
        body, heads = split_state(read_state(path), PREFIXES)
        weights, left = rename(body, reverse(names.TRANSFORMERS_CONFORMER if kind == CONFORMER else names.TRANSFORMERS))
        quantizer, left_heads = rename(heads, reverse(names.QUANTIZER) if kind in QUANTIZED else {})
        weights |= quantizer
        if kind == CONFORMER:
            weights = huggingface_conformer.read_weights(weights, settings)
        frontend, encoder = _values(settings, kind, path, weights)
        values = model_values(
            frontend, encoder, OBJECTIVES[kind], weights, kind="conformer" if kind == CONFORMER else "transformer"
        )
        return Foreign(values, weights, left + left_heads, _notes(_scaling(settings, path), path))

    def run(self, folder: Path) -> OtherSide:
        """The model as any user of transformers loads it."""
        if model_type(folder) == huggingface_bert.MODEL_TYPE:
            return huggingface_bert.run(folder)
        transformers = library("transformers", forms.TRANSFORMERS)
        # In single precision, whatever the weights were saved in: the comparison is of architectures.
        model = transformers.AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval()
        if (folder / "preprocessor_config.json").is_file():
            extractor = transformers.AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
        else:
            scaling = _scaling(read_settings(folder), folder)
            extractor = transformers.Wav2Vec2FeatureExtractor(
                sampling_rate=scaling.sample_rate, do_normalize=scaling.normalize
            )
        rate = extractor.sampling_rate

        def scaled(wav: Tensor) -> Tensor:
            values: Tensor = extractor(wav.numpy(), sampling_rate=rate, return_tensors="pt").input_values[0]
            return values

        return OtherSide(lambda wav: states_of(model, wav), scaled)

    def recognises(self, path: Path, keys: Set[str]) -> bool:
        return path.is_dir()  # asked last: a folder that is nobody else's
