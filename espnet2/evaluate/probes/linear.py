"""The linear probe: a classifier on a learned mix of frozen layers."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# The classifier is convex but for the mix; features have unit variance, so one rate suits them all.
UPDATES = 1000
BATCH_EXAMPLES = 1024
LEARNING_RATE = 0.02  # Adam's, falling linearly to 0: no choice of a checkpoint, so nothing is chosen on the test set
MIX_RATE = 0.03  # of the logits of the mix: a few numbers that all examples share
WEIGHT_DECAY = 1e-4  # of the classifier: keeps the answers finite where classes are separable
DEVIATION_FLOOR = 1e-6  # a value that is the same in all examples carries nothing


class Examples(NamedTuple):
    """Frames, or utterances, with the classes that a probe is to tell."""

    features: Tensor  # (layers, examples, dim) float32
    classes: Tensor  # (examples,) int64; below 0: a class that training never shows, an error whatever the answer

    def only(self, layer: int) -> "Examples":
        """With one layer, counted from 0: (1, examples, dim)."""
        return Examples(self.features[layer : layer + 1], self.classes)


class LinearResult(NamedTuple):
    """What a probe found."""

    accuracy: float  # share of the test examples that are told right
    layer_weights: tuple[float, ...]  # softmax weights of the layers; they add up to 1


class LayerMix(nn.Module):
    """A weighted sum of layers whose weights are learned with what follows (ELMo, Peters et al. 2018, section 3.2).

    The layers come with equal variance (see `standardise`), so that a weight says how much a layer is used.
    """

    def __init__(self, num_layers: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(num_layers))

    @property
    def weights(self) -> Tensor:
        """(layers,) positive, adding up to 1."""
        return self.logits.softmax(0)

    def forward(self, layers: Tensor) -> Tensor:
        """(layers, ..., dim) -> (..., dim)."""
        mixed: Tensor = torch.tensordot(self.weights, layers, dims=1)
        return mixed


def standardise(train: Tensor, *others: Tensor) -> None:
    """Give every dimension of every layer zero mean and unit variance over the training examples, in place.

    Args:
        train: (layers, examples, dim); its statistics are used for all.
        others: (layers, any, dim).
    """
    for layer in range(len(train)):
        deviation, mean = torch.std_mean(train[layer], dim=0, correction=0)
        scale = torch.where(deviation > DEVIATION_FLOOR, 1 / deviation.clamp(min=DEVIATION_FLOOR), 0.0)
        for features in (train, *others):
            features[layer].sub_(mean).mul_(scale)


def fit_linear(
    train: Examples,
    test: Examples,
    num_classes: int,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    updates: int = UPDATES,
) -> LinearResult:
    """Learn on one set, score on the other; the same seed gives the same result.

    Args:
        train, test: standardised (see `standardise`).
        num_classes: classes of the training examples are 0..num_classes-1.
    """
    num_layers, num_examples, dim = train.features.shape
    generator = torch.Generator().manual_seed(seed)
    mix, output = LayerMix(num_layers).to(device), nn.utils.skip_init(nn.Linear, dim, num_classes)
    with torch.no_grad():
        output.weight.copy_(torch.randn(num_classes, dim, generator=generator) / math.sqrt(dim))
        output.bias.zero_()
    output.to(device)
    groups = [
        {"params": list(output.parameters()), "weight_decay": WEIGHT_DECAY, "rate": LEARNING_RATE},
        {"params": list(mix.parameters()), "weight_decay": 0.0, "rate": MIX_RATE},
    ]
    optimizer = torch.optim.AdamW(groups)
    batch = min(BATCH_EXAMPLES, num_examples)
    for update in range(updates):
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * (1 - update / updates)
        chosen = torch.randint(num_examples, (batch,), generator=generator)
        logits = output(mix(train.features[:, chosen].to(device)))
        optimizer.zero_grad()
        F.cross_entropy(logits, train.classes[chosen].to(device)).backward()
        optimizer.step()
    return LinearResult(_accuracy(mix, output, test, device), tuple(mix.weights.tolist()))


@torch.no_grad()
def _accuracy(mix: LayerMix, output: nn.Linear, test: Examples, device: torch.device | str) -> float:
    right = 0
    parts = zip(test.features.split(BATCH_EXAMPLES, dim=1), test.classes.split(BATCH_EXAMPLES), strict=True)
    for features, classes in parts:
        right += int((output(mix(features.to(device))).argmax(-1).cpu() == classes).sum())
    return right / max(1, len(test.classes))


def majority_share(train_classes: Tensor, test_classes: Tensor) -> float:
    """Share of the test examples that the most frequent class of the training examples would get right."""
    return float((test_classes == train_classes.bincount().argmax()).double().mean())
