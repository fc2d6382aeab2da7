"""A few keys in, a model and batches of noise that run in milliseconds on one core out."""

from collections.abc import Sequence
from typing import Any

import torch

from espnet2.ssl.data.batch import NO_LABEL, Batch
from espnet2.ssl.model import SSLModel
from espnet2.ssl.objective import objective_class
from espnet2.tasks.ssl import SSLConfig, build, resolve_config

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


def tiny_config(
    objective: str = "hubert",
    *,
    conf: dict[str, Any] | None = None,
    frontend: str = "fbank",
    frontend_conf: dict[str, Any] | None = None,
    encoder_conf: dict[str, Any] | None = None,
) -> SSLConfig:
    """A resolved config of a tiny model."""
    classes = {"num_classes": NUM_CLASSES} if objective_class(objective).needs_labels else {}
    return resolve_config(
        {
            "frontend": frontend,
            "frontend_conf": FRONTENDS[frontend] | (frontend_conf or {}),
            "encoder": "transformer",
            "encoder_conf": ENCODER | (encoder_conf or {}),
            "loss": [{"name": objective, "conf": classes | (conf or {})}],
        }
    )


def tiny_model(objective: str = "hubert", *, seed: int = 0, **options: Any) -> SSLModel:
    """A tiny model with fixed random weights; the options of `tiny_config`."""
    torch.manual_seed(seed)
    return build(tiny_config(objective, **options))


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


def mean_loss(model: SSLModel, batch: Batch) -> torch.Tensor:
    """The loss as the trainer makes it from one micro-batch: every term divided by its count."""
    entries = model(batch)
    return sum(
        model.weights[name] * term.weight * term.total / term.count
        for name, loss in entries.items()
        for term in loss.terms
    )
