"""Our HuBERT state dict in, the names of transformers and torchaudio out: used to compare models with equal weights."""

from collections.abc import Mapping

import torch
from torch import Tensor

# Our name below a block -> the name below a layer that both other libraries took over from fairseq.
BLOCK_NAMES = {
    "attention.output": "attention.out_proj",
    "attention_norm": "layer_norm",
    "ffn_in": "feed_forward.intermediate_dense",
    "ffn_out": "feed_forward.output_dense",
    "ffn_norm": "final_layer_norm",
}
TRANSFORMERS_NAMES = {
    "frontend.norm": "feature_projection.layer_norm",
    "frontend.projection": "feature_projection.projection",
    "encoder.position": "encoder.pos_conv_embed",
    "encoder.norm": "encoder.layer_norm",
    "objectives.hubert.mask_embedding": "masked_spec_embed",
}
TORCHAUDIO_NAMES = {
    "frontend.norm": "wav2vec2.encoder.feature_projection.layer_norm",
    "frontend.projection": "wav2vec2.encoder.feature_projection.projection",
    "encoder.position": "wav2vec2.encoder.transformer.pos_conv_embed",
    "encoder.norm": "wav2vec2.encoder.transformer.layer_norm",
    "objectives.hubert.mask_embedding": "mask_generator.mask_embedding",
    "objectives.hubert.head.projection": "logit_generator.final_proj",
    "objectives.hubert.head.label_embeddings": "logit_generator.label_embeddings",
}


def to_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict for `transformers.HubertModel`; the prediction head, which it does not have, is left out."""
    encoder = {name: value for name, value in state.items() if ".head." not in name}
    return _rename(encoder, TRANSFORMERS_NAMES, "feature_extractor.conv_layers", "encoder.layers")


def to_torchaudio(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict for `torchaudio.models.HuBERTPretrainModel`."""
    layers = "wav2vec2.encoder.transformer.layers"
    return _rename(state, TORCHAUDIO_NAMES, "wav2vec2.feature_extractor.conv_layers", layers)


def _rename(state: Mapping[str, Tensor], names: Mapping[str, str], conv_layers: str, layers: str) -> dict[str, Tensor]:
    renamed: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.startswith("frontend.blocks."):
            number, rest = name.removeprefix("frontend.blocks.").split(".", 1)
            renamed[f"{conv_layers}.{number}.{_replace(rest, {'norm': 'layer_norm'})}"] = value
        elif name.startswith("encoder.blocks."):
            number, rest = name.removeprefix("encoder.blocks.").split(".", 1)
            if rest.startswith("attention.qkv."):
                for letter, part in zip("qkv", value.chunk(3), strict=True):
                    renamed[f"{layers}.{number}.attention.{letter}_proj.{rest.rsplit('.', 1)[1]}"] = part
            else:
                renamed[f"{layers}.{number}.{_replace(rest, BLOCK_NAMES)}"] = value
        else:
            renamed[_replace(name, names)] = value
    return renamed


def _replace(name: str, names: Mapping[str, str]) -> str:
    """The name with its beginning, up to a dot, replaced by the map."""
    for ours, theirs in names.items():
        if name == ours or name.startswith(f"{ours}."):
            return theirs + name.removeprefix(ours)
    return name


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Move every parameter away from special values such as a norm's 1 and 0, so that a wrong mapping shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
