"""Our contrastive models in, transformers' Wav2Vec2ForPreTraining with the same weights, mask and distractors out."""

import torch
from hubert_weights import randomise, to_transformers
from tiny_model import seeded_forward
from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining

from espnet2.tasks.build import build
from espnet2.tasks.config import resolve_config

KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
ENCODER = {
    "dim": 48, "num_layers": 3, "num_heads": 4, "ffn_dim": 96, "position_kernel": 16, "position_groups": 4,
    "dropout": 0.0, "attention_dropout": 0.0, "layerdrop": 0.0,
}  # fmt: skip
CONF = {"num_codes": 9, "code_dim": 16, "final_dim": 12, "num_negatives": 20, "dropout_features": 0.0}
# Their name below the model -> ours below the objective.
HEADS = {
    "quantizer.weight_proj": "quantizer.projection",
    "project_hid": "head.hidden_projection",
    "project_q": "head.code_projection",
}


def ours(norm: str = "group", name: str = "wav2vec2", conf: dict | None = None, **encoder):
    torch.manual_seed(0)
    model = build(
        resolve_config(
            {
                "frontend_conf": {"channels": 32, "norm": norm, "dropout": 0.0, "feature_grad_mult": 1.0},
                "encoder_conf": {**ENCODER, "norm": "post" if norm == "group" else "pre", **encoder},
                "loss": [{"name": name, "conf": CONF | (conf or {})}],
            }
        )
    )
    randomise(model, seed=1)
    return model


def theirs(model, name: str = "wav2vec2", norm: str = "group", num_layers: int = 3):
    """transformers' model with our weights; of our encoder, the first `num_layers` blocks."""
    objective = model.first
    conf = objective.config
    config = Wav2Vec2Config(
        hidden_size=48, num_hidden_layers=num_layers, num_attention_heads=4, intermediate_size=96, conv_dim=[32] * 7,
        conv_kernel=KERNELS, conv_stride=STRIDES, feat_extract_norm=norm, do_stable_layer_norm=norm == "layer",
        conv_bias=False, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4, hidden_dropout=0.0,
        activation_dropout=0.0, attention_dropout=0.0, feat_proj_dropout=0.0, feat_quantizer_dropout=0.0, layerdrop=0.0,
        num_codevectors_per_group=conf.num_codes, num_codevector_groups=conf.num_groups, codevector_dim=conf.code_dim,
        proj_codevector_dim=conf.final_dim, attn_implementation="eager",
    )  # fmt: skip
    other = Wav2Vec2ForPreTraining(config)
    state = {n.replace(f"objectives.{name}.mask_embedding", "objectives.hubert.mask_embedding"): value
             for n, value in model.state_dict().items()}  # fmt: skip
    shared = to_transformers({n: value for n, value in state.items() if f"objectives.{name}." not in n})
    shared = {f"wav2vec2.{n}": value for n, value in shared.items()}
    for theirs_, ours_ in HEADS.items():
        for kind in ("weight", "bias"):
            shared[f"{theirs_}.{kind}"] = state[f"objectives.{name}.{ours_}.{kind}"]
    shared["quantizer.codevectors"] = objective.quantizer.codes.detach().flatten(0, 1)[None]
    blocks = tuple(f"wav2vec2.encoder.layers.{number}." for number in range(num_layers, 3))
    other.load_state_dict({n: value for n, value in shared.items() if not n.startswith(blocks)})
    return other


def their_loss(other, batch, draws):
    """Their output for our mask and our distractors, whose frame numbers they count over the whole batch."""
    mask, positions, negatives = draws["mask"], draws["positions"], draws["negatives"]
    sampled = torch.zeros(*mask.shape, negatives.size(2), dtype=torch.long)
    for row in range(len(mask)):
        sampled[row, positions[row]] = positions[row][negatives[row]] + row * mask.size(1)
    return other(batch.wavs, mask_time_indices=mask, sampled_negative_indices=sampled)


def figures(model, batch, name="wav2vec2"):
    """The figures of one micro-batch as the log has them."""
    loss = seeded_forward(model, batch)[name]
    losses = {f"loss_{term.name}": float(term.total.detach() / term.count) for term in loss.terms}
    return losses | {name: float(ratio.total / ratio.count) for name, ratio in loss.stats.items()}
