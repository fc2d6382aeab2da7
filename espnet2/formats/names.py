"""Tables between canonical names of weights and other libraries' names, read in both directions.

A table maps beginnings of canonical names (see `canonical.py`) to theirs; `*` stands for a number.
"""

from collections.abc import Mapping

POSITION = "encoder.position.conv"
ROTARY_FREQUENCIES = "encoder.attention_position.frequencies"  # constants, which some files hold

_BLOCK = {  # canonical name below a block -> the name below a layer that transformers and torchaudio share
    "attention.query": "attention.q_proj",
    "attention.key": "attention.k_proj",
    "attention.value": "attention.v_proj",
    "attention.output": "attention.out_proj",
    "attention.position.linear": "attention.gru_rel_pos_linear",
    "attention.position.scale": "attention.gru_rel_pos_const",
    "attention_norm": "layer_norm",
    "ffn_in": "feed_forward.intermediate_dense",
    "ffn_out": "feed_forward.output_dense",
    "ffn_norm": "final_layer_norm",
}
_FAIRSEQ_BLOCK = {
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.out_proj",
    "attention.position.linear": "self_attn.grep_linear",
    "attention.position.scale": "self_attn.grep_a",
    "attention_norm": "self_attn_layer_norm",
    "ffn_in": "fc1",
    "ffn_out": "fc2",
    "ffn_norm": "final_layer_norm",
}
_FAIRSEQ2_BLOCK = _FAIRSEQ_BLOCK | {
    "attention.output": "self_attn.output_proj",
    "ffn_in": "ffn.inner_proj",
    "ffn_out": "ffn.output_proj",
    "ffn_norm": "ffn_layer_norm",
}
_DATA2VEC2_BLOCK = {
    "attention.qkv": "attn.qkv",
    "attention.output": "attn.proj",
    "attention_norm": "norm1",
    "ffn_in": "mlp.fc1",
    "ffn_out": "mlp.fc2",
    "ffn_norm": "norm2",
}
_CONFORMER_BLOCK = {
    "ffn_first.norm": "ffn1_layer_norm",
    "ffn_first.inner": "ffn1.intermediate_dense",
    "ffn_first.output": "ffn1.output_dense",
    "attention.query": "self_attn.linear_q",
    "attention.key": "self_attn.linear_k",
    "attention.value": "self_attn.linear_v",
    "attention.output": "self_attn.linear_out",
    "attention.position.projection": "self_attn.linear_pos",
    "attention.position.content_bias": "self_attn.pos_bias_u",
    "attention.position.position_bias": "self_attn.pos_bias_v",
    "attention_norm": "self_attn_layer_norm",
    "convolution.input_norm": "conv_module.layer_norm",
    "convolution.gated": "conv_module.pointwise_conv1",
    "convolution.depthwise": "conv_module.depthwise_conv",
    "convolution.norm": "conv_module.batch_norm",
    "convolution.output": "conv_module.pointwise_conv2",
    "ffn_second.norm": "ffn2_layer_norm",
    "ffn_second.inner": "ffn2.intermediate_dense",
    "ffn_second.output": "ffn2.output_dense",
    "norm": "final_layer_norm",
}
_BERT_BLOCK = _CONFORMER_BLOCK | {
    "attention.position.table": "self_attn.distance_embedding.weight",
    "convolution.norm": "conv_module.depthwise_layer_norm",
}
_ESPNET_ATTENTION = {
    "query": "linear_q",
    "key": "linear_k",
    "value": "linear_v",
    "output": "linear_out",
    "position.projection": "linear_pos",
    "position.content_bias": "pos_bias_u",
    "position.position_bias": "pos_bias_v",
}
_ESPNET_MACARON = {
    "ffn_first.norm": "norm_ff_macaron",
    "ffn_first.inner": "feed_forward_macaron.w_1",
    "ffn_first.output": "feed_forward_macaron.w_2",
    "attention_norm": "norm_mha",
    "ffn_second.norm": "norm_ff",
    "ffn_second.inner": "feed_forward.w_1",
    "ffn_second.output": "feed_forward.w_2",
    "norm": "norm_final",
}
_ESPNET_BLOCKS = {  # our encoder -> (name of the attention in theirs, the rest of a block)
    "transformer": (
        "self_attn",
        {
            "attention_norm": "norm1",
            "ffn_in": "feed_forward.w_1",
            "ffn_out": "feed_forward.w_2",
            "ffn_norm": "norm2",
        },
    ),
    "e_branchformer": (
        "attn",
        {
            **_ESPNET_MACARON,
            "gated_mlp.input_norm": "norm_mlp",
            "gated_mlp.inner": "cgmlp.channel_proj1.0",
            "gated_mlp.gate_norm": "cgmlp.csgu.norm",
            "gated_mlp.gate": "cgmlp.csgu.conv",
            "gated_mlp.output": "cgmlp.channel_proj2",
            "merge.depthwise": "depthwise_conv_fusion",
            "merge.output": "merge_proj",
        },
    ),
    "conformer": (
        "self_attn",
        {
            **_ESPNET_MACARON,
            "convolution.input_norm": "norm_conv",
            "convolution.gated": "conv_module.pointwise_conv1",
            "convolution.depthwise": "conv_module.depthwise_conv",
            "convolution.norm": "conv_module.norm",
            "convolution.output": "conv_module.pointwise_conv2",
        },
    ),
}


def _blocks(names: Mapping[str, str], layers: str) -> dict[str, str]:
    return {f"encoder.blocks.*.{ours}": f"{layers}.*.{theirs}" for ours, theirs in names.items()}


_EXTRACTOR = {
    "frontend.blocks.*.conv": "feature_extractor.conv_layers.*.conv",
    "frontend.blocks.*.norm": "feature_extractor.conv_layers.*.layer_norm",
}
_TRANSFORMERS_BODY = {
    **_EXTRACTOR,
    "frontend.norm": "feature_projection.layer_norm",
    "frontend.projection": "feature_projection.projection",
    POSITION: "encoder.pos_conv_embed.conv",
    "encoder.position.convs.*": "encoder.pos_conv_embed.layers.*.conv",
    "encoder.norm": "encoder.layer_norm",
    "objective.mask_embedding": "masked_spec_embed",
}
TRANSFORMERS = {
    **_TRANSFORMERS_BODY,
    **_blocks(_BLOCK, "encoder.layers"),
    "encoder.attention_position.table": "encoder.layers.0.attention.rel_attn_embed.weight",
}
TRANSFORMERS_CONFORMER = {
    **_TRANSFORMERS_BODY,
    ROTARY_FREQUENCIES: "encoder.embed_positions.inv_freq",
    **_blocks(_CONFORMER_BLOCK, "encoder.layers"),
}
TRANSFORMERS_BERT = {  # w2v-BERT 2.0, on mel
    "frontend.norm": "feature_projection.layer_norm",
    "frontend.projection": "feature_projection.projection",
    "objective.mask_embedding": "masked_spec_embed",
    **_blocks(_BERT_BLOCK, "encoder.layers"),
}
QUANTIZER = {  # of Wav2Vec2ForPreTraining, and with other names of fairseq
    "objective.quantizer.projection": "quantizer.weight_proj",
    "objective.quantizer.codes": "quantizer.codevectors",
    "objective.head.hidden_projection": "project_hid",
    "objective.head.code_projection": "project_q",
}
TRANSFORMERS_PRETRAINING = {ours: f"wav2vec2.{theirs}" for ours, theirs in TRANSFORMERS.items()} | QUANTIZER

_TORCHAUDIO_BODY = {
    **_EXTRACTOR,
    "frontend.norm": "encoder.feature_projection.layer_norm",
    "frontend.projection": "encoder.feature_projection.projection",
    POSITION: "encoder.transformer.pos_conv_embed.conv",
    "encoder.norm": "encoder.transformer.layer_norm",
}
_TORCHAUDIO_LAYERS = "encoder.transformer.layers"
TORCHAUDIO = {**_TORCHAUDIO_BODY, **_blocks(_BLOCK, _TORCHAUDIO_LAYERS)}
TORCHAUDIO_WAVLM = {
    **_TORCHAUDIO_BODY,
    **_blocks(
        {
            **{ours: theirs for ours, theirs in _BLOCK.items() if not ours.startswith("attention.")},
            "attention.qkv.weight": "attention.attention.in_proj_weight",
            "attention.qkv.bias": "attention.attention.in_proj_bias",
            "attention.output": "attention.attention.out_proj",
            "attention.position.linear": "attention.gru_rel_pos_linear",
            "attention.position.scale": "attention.gru_rel_pos_const",
        },
        _TORCHAUDIO_LAYERS,
    ),
    "encoder.attention_position.table": f"{_TORCHAUDIO_LAYERS}.0.attention.rel_attn_embed.weight",
}
TORCHAUDIO_PRETRAINING = {ours: f"wav2vec2.{theirs}" for ours, theirs in TORCHAUDIO.items()} | {
    "objective.mask_embedding": "mask_generator.mask_embedding",
    "objective.head.projection": "logit_generator.final_proj",
    "objective.head.label_embeddings": "logit_generator.label_embeddings",
}


def fairseq(norm: str, *, stack: bool = False) -> dict[str, str]:
    """The table of fairseq's HuBERT, wav2vec 2.0, data2vec and of WavLM.

    Args:
        norm: of the convolutions of the frontend.
        stack: positions are a stack of convolutions.
    """
    position = {"encoder.position.convs.*": "encoder.pos_conv.*.0"} if stack else {POSITION: "encoder.pos_conv.0"}
    return {
        **position,
        "frontend.blocks.*.conv": "feature_extractor.conv_layers.*.0",
        "frontend.blocks.*.norm": f"feature_extractor.conv_layers.*.2{'.1' if norm == 'layer' else ''}",
        "frontend.norm": "layer_norm",
        "frontend.projection": "post_extract_proj",
        "encoder.norm": "encoder.layer_norm",
        "encoder.attention_position.table": "encoder.layers.0.self_attn.relative_attention_bias.weight",
        "objective.mask_embedding": "mask_emb",
        **_blocks(_FAIRSEQ_BLOCK, "encoder.layers"),
        "objective.quantizer.projection": "quantizer.weight_proj",
        "objective.quantizer.codes": "quantizer.vars",
        "objective.head.code_projection": "project_q",
        "objective.head.hidden_projection": "final_proj",
        "objective.head.label_embeddings": "label_embs_concat",
    }


def fairseq2(norm: str, *, pre_norm: bool) -> dict[str, str]:
    """The table of fairseq2's wav2vec 2.0.

    Args:
        norm: of the convolutions of the frontend.
        pre_norm: the blocks normalise their input.
    """
    extractor = "encoder_frontend.feature_extractor.layers.*"
    return {
        POSITION: "encoder_frontend.pos_encoder.conv",
        "frontend.blocks.*.conv": f"{extractor}.conv",
        "frontend.blocks.*.norm": f"{extractor}.{norm}_norm",
        "frontend.norm": "encoder_frontend.post_extract_layer_norm",
        "frontend.projection": "encoder_frontend.model_dim_proj",
        "encoder.norm": "encoder.layer_norm" if pre_norm else "encoder_frontend.layer_norm",
        "objective.mask_embedding": "masker.temporal_mask_embed",
        **_blocks(_FAIRSEQ2_BLOCK, "encoder.layers"),
        "objective.quantizer.projection": "quantizer.entry_proj",
        "objective.quantizer.codes": "quantizer.entries",
        "objective.head.code_projection": "final_target_proj",
        "objective.head.hidden_projection": "final_proj",
    }


def fairseq_hubert(norm: str) -> dict[str, str]:
    """As `fairseq`, where `final_proj` is the head of HuBERT."""
    table = fairseq(norm)
    del table["objective.head.hidden_projection"]
    return table | {"objective.head.projection": "final_proj"}


def fairseq_data2vec2(
    norm: str, pre_norm: bool, *, position_depth: int, num_layers: int, prenet_depth: int
) -> dict[str, str]:
    """The table of data2vec 2.0: the first blocks belong to the audio encoder, the rest to all modalities."""
    audio = "modality_encoders.AUDIO"
    table = {
        "frontend.blocks.*.conv": f"{audio}.local_encoder.conv_layers.*.0",
        "frontend.blocks.*.norm": f"{audio}.local_encoder.conv_layers.*.2{'.1' if norm == 'layer' else ''}",
        "frontend.norm": f"{audio}.project_features.1",
        "frontend.projection": f"{audio}.project_features.2",
        "encoder.norm": "norm" if pre_norm else f"{audio}.context_encoder.norm",
        "encoder.attention_position.scale": f"{audio}.alibi_scale",
    }
    for number in range(position_depth):
        table[f"encoder.position.convs.{number}"] = f"{audio}.relative_positional_encoder.{number + 1}.0"
    for number in range(num_layers):
        shared = number - prenet_depth
        where = f"blocks.{shared}" if shared >= 0 else f"{audio}.context_encoder.blocks.{number}"
        table |= {f"encoder.blocks.{number}.{ours}": f"{where}.{theirs}" for ours, theirs in _DATA2VEC2_BLOCK.items()}
    return table


def espnet_ssl1(encoder: str) -> dict[str, str]:
    """The table of ESPnet's own ssl1.

    Args:
        encoder: a key of _ESPNET_BLOCKS.
    """
    attention, rest = _ESPNET_BLOCKS[encoder]
    block = {f"attention.{ours}": f"{attention}.{theirs}" for ours, theirs in _ESPNET_ATTENTION.items()} | rest
    return {
        "frontend.blocks.*.conv": "frontend.layers.*.conv",
        "frontend.blocks.*.norm": "frontend.layers.*.layer_norm",
        "frontend.norm": "frontend.final_norm",
        "frontend.projection": "preencoder.linear_out",
        POSITION: "encoder.embed.0.convs.0",
        "encoder.entry_norm": "encoder.embed.1",
        "encoder.norm": "encoder.after_norm",
        "objective.mask_embedding": "util_modules.mask.mask_embedding",
        **_blocks(block, "encoder.encoders"),
    }
