"""A few keys in, a model and batches of noise that run in milliseconds on one core out."""

from collections.abc import Sequence
from typing import Any

import torch

from espnet2.data.batch import Batch
from espnet2.data.labels.packed import NO_LABEL
from espnet2.pretrain.teachers import as_teacher
from espnet2.ssl.frontend.conv import ConvFrontend
from espnet2.ssl.model import SSLModel
from espnet2.ssl.objective import objective_class
from espnet2.ssl.objective.base import Loss, TaughtConfig
from espnet2.tasks.build import build
from espnet2.tasks.config import SSLConfig, resolve_config

NUM_CLASSES = 7
FRONTENDS = {"fbank": {"num_mels": 20}, "conv": {"channels": 12, "dropout": 0.0}}
ENCODER = {
    "num_layers": 2,
    "dim": 16,
    "num_heads": 2,
    "ffn_dim": 32,
    "position_kernel": 8,
    "position_groups": 4,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "layerdrop": 0.0,
}
ENCODERS = {  # encoder -> its tiny encoder_conf
    "transformer": ENCODER,
    "conformer": ENCODER | {"conv_kernel": 5},
    "e_branchformer": ENCODER | {"cgmlp_dim": 24, "cgmlp_conv_kernel": 5, "merge_conv_kernel": 3},
}
# Objective -> the keys of `conf` that make it tiny.
TINY_CONF: dict[str, dict[str, Any]] = {
    "best_rq": {"num_codes": 11, "code_dim": 4, "mask_start_prob": 0.03, "mask_span": 8},
    "data2vec2": {"num_clones": 2, "num_target_layers": 2, "decoder_dim": 8, "decoder_groups": 4, "decoder_layers": 2},
    "dinosr": {"num_codebooks": 2, "num_codes": 11},
    "distilhubert": {"teacher_layers": [1, 2], "teacher_dim": 24, "head_dim": 8, "student_start": "random"},
    "online_hubert": {"target_layers": [1], "codes_per_label": 2, "anchor_updates": 2, "mix_updates": 2},
    "w2v_bert": {"contrastive_layers": 1, "num_codes": 6, "code_dim": 8, "final_dim": 8, "num_negatives": 5},
    "wav2vec2": {"num_codes": 4, "code_dim": 8, "final_dim": 8, "num_negatives": 5, "dropout_features": 0.0},
}
# Objective -> "frontend", "frontend_conf" (only beside "frontend"), "encoder", "encoder_conf": what the method cannot
# run without. It wins over what a test asks for; a test's frontend_conf is dropped with the frontend it was meant for.
TINY_PARTS: dict[str, dict[str, Any]] = {
    "data2vec2": {"encoder_conf": {"position": "conv_stack", "attention_position": "alibi"}},
    "best_rq": {"frontend": "fbank"},
    "speechflow": {
        "frontend": "fbank",
        "frontend_conf": {"window": "hann", "window_seconds": 0.04, "stack_frames": 1, "project": False},
        "encoder_conf": {"norm": "pre", "attention_position": "alibi", "long_skips": True, "layerdrop": 0.0},
    },
    "wavlm": {"encoder_conf": {"attention_position": "gated_relative"}},
}


TEACHER = {"dim": 24, "position_kernel": 4}  # encoder_conf of a teacher: wider than its students


def tiny_config(
    objective: str = "hubert",
    *,
    conf: dict[str, Any] | None = None,
    frontend: str = "fbank",
    frontend_conf: dict[str, Any] | None = None,
    encoder: str = "transformer",
    encoder_conf: dict[str, Any] | None = None,
) -> SSLConfig:
    """A resolved config of a tiny model."""
    classes = {"num_classes": NUM_CLASSES} if objective_class(objective).needs_labels else {}
    parts = TINY_PARTS.get(objective, {})
    if "frontend" in parts:
        objective_conf = parts.get("frontend_conf", {})
        frontend_conf = (frontend_conf or {}) | objective_conf if parts["frontend"] == frontend else objective_conf
        frontend = parts["frontend"]
    encoder = parts.get("encoder", encoder)
    return resolve_config(
        {
            "frontend": frontend,
            "frontend_conf": FRONTENDS[frontend] | (frontend_conf or {}),
            "encoder": encoder,
            "encoder_conf": ENCODERS[encoder] | (encoder_conf or {}) | parts.get("encoder_conf", {}),
            "loss": [{"name": objective, "conf": classes | TINY_CONF.get(objective, {}) | (conf or {})}],
        }
    )


def tiny_model(objective: str = "hubert", *, seed: int = 0, **options: Any) -> SSLModel:
    """A tiny model with fixed random weights; the options of `tiny_config`."""
    torch.manual_seed(seed)
    model = build(tiny_config(objective, **options))
    if issubclass(objective_class(objective).Config, TaughtConfig):
        model.first.take_teacher(as_teacher(tiny_teacher(model), model.frontend, "tiny"))
    return model


def tiny_teacher(student: SSLModel) -> SSLModel:
    """A model for it to learn from, on waveforms or mel frames at the same rate."""
    frontend = "conv" if isinstance(student.frontend, ConvFrontend) else "fbank"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(100)
        return build(tiny_config("hubert", frontend=frontend, encoder_conf=TEACHER))


def noise_batch(model: SSLModel, lengths: Sequence[int] = (16000, 16000), *, seed: int = 0) -> Batch:
    """Noise of so many samples, labels and draws for every loss entry."""
    generator = torch.Generator().manual_seed(seed)
    wav_lengths = torch.tensor(lengths)
    wavs = 0.1 * torch.randn(len(lengths), max(lengths), generator=generator)
    wavs[torch.arange(max(lengths)) >= wav_lengths[:, None]] = 0
    frame_lengths = model.frontend.geometry.output_lengths(wav_lengths)
    labels = torch.randint(NUM_CLASSES, (len(lengths), int(frame_lengths.max())), generator=generator)
    labels[torch.arange(labels.size(1)) >= frame_lengths[:, None]] = NO_LABEL
    utt_ids = tuple(f"utterance{row}" for row in range(len(lengths)))
    draws = {name: objective.draw(wav_lengths, utt_ids, generator) for name, objective in model.objectives.items()}
    return Batch(wavs, wav_lengths, labels, utt_ids, draws)


def seeded_forward(model: SSLModel, batch: Batch) -> dict[str, Loss]:
    """The forward pass of a micro-batch, with torch's generator seeded for it as the trainer does: dropout, noise."""
    torch.manual_seed(0)
    return model(batch)


def mean_loss(model: SSLModel, batch: Batch) -> torch.Tensor:
    """The loss as the trainer makes it from one micro-batch: every term divided by its count."""
    entries = seeded_forward(model, batch)
    return sum(
        model.weights[name] * term.weight * term.total / term.count
        for name, loss in entries.items()
        for term in loss.terms
    )
