"""HuBERT's loss on soft labels and on several codebooks: worked out by hand, and blind to what is behind the end."""

import math
from dataclasses import replace

import pytest
import torch
from tiny_model import NUM_CLASSES, noise_batch, tiny_model

from espnet2.data.labels.packed import NO_LABEL
from espnet2.ssl.objective.hubert import _cross_entropy, accuracy


def test_cross_entropy_with_a_distribution_by_hand():
    logits = torch.log(torch.tensor([[[0.25, 0.75, 1e-9], [0.1, 0.2, 0.7], [0.3, 0.3, 0.4]]]))
    labels = torch.tensor([[[1, 0], [2, 1], [NO_LABEL, NO_LABEL]]])
    weights = torch.tensor([[[0.6, 0.4], [1.0, 0.0], [0.0, 0.0]]])
    expected = -0.6 * math.log(0.75) - 0.4 * math.log(0.25) - math.log(0.7)
    assert float(_cross_entropy(logits, labels, weights)) == pytest.approx(expected, rel=1e-6)
    right = accuracy(logits.argmax(-1), labels)  # the most probable class of both frames is guessed
    assert (int(right.total), int(right.count)) == (2, 2)


def test_codebooks_are_averaged_by_hand():
    logits = torch.log(torch.tensor([[[[0.25, 0.75], [0.5, 0.5]], [[0.9, 0.1], [0.2, 0.8]]]]))  # 2 frames, 2 codebooks
    labels = torch.tensor([[[1, 0], [0, 0]]])
    expected = -(math.log(0.75) + math.log(0.5)) / 2 - (math.log(0.9) + math.log(0.2)) / 2
    assert float(_cross_entropy(logits, labels, None)) == pytest.approx(expected, rel=1e-6)
    prediction = torch.tensor([[[1, 1], [0, 1]]])
    right = accuracy(prediction, labels)
    assert (float(right.total), int(right.count)) == (1.0, 2)  # one of two codebooks in each frame


def targets(batch, kind: str):
    """Labels of a batch as soft labels, or as three codebooks, and the weights."""
    hard = batch.labels
    if kind == "codebooks":
        shifted = [torch.where(hard == NO_LABEL, NO_LABEL, (hard + shift) % NUM_CLASSES) for shift in range(3)]
        return torch.stack(shifted, -1), {}
    second = torch.where(hard == NO_LABEL, NO_LABEL, (hard + 1) % NUM_CLASSES)
    weights = torch.tensor([0.75, 0.25]) * (hard != NO_LABEL)[..., None]
    return torch.stack([hard, second], -1), {"": weights}


@pytest.mark.parametrize("kind", ["soft", "codebooks"])
@pytest.mark.parametrize("name", ["hubert", "wavlm"])
def test_padding_changes_nothing(name, kind):
    conf = {"unmasked_weight": 0.5, **({"num_codebooks": 3} if kind == "codebooks" else {})}
    model = tiny_model(name, conf=conf).eval()
    objective = model.objectives[name]
    batch = noise_batch(model, (16000, 12000))
    labels, weights = targets(batch, kind)
    batch = replace(batch, labels=labels, label_weights=weights, mixed=torch.tensor([False, True]))
    longer = torch.nn.functional.pad(batch.wavs, (0, 6400))
    padded = replace(batch, wavs=longer, is_padded=True)
    first, second = objective(batch), objective(padded)
    for ours, theirs in zip(first.terms, second.terms, strict=True):
        assert ours.count == theirs.count and torch.allclose(ours.total, theirs.total, rtol=1e-5)
        assert objective.counts(batch)[ours.name] == ours.count
    for figure, ratio in first.stats.items():
        assert torch.allclose(ratio.total.float(), second.stats[figure].total.float(), rtol=1e-5), figure
        assert (ratio.count > 0) and ratio.count == second.stats[figure].count, figure


@pytest.mark.parametrize("kind", ["soft", "codebooks"])
def test_every_weight_of_the_head_gets_a_gradient(kind):
    model = tiny_model("hubert", conf={"num_codebooks": 3} if kind == "codebooks" else {})
    batch = noise_batch(model)
    labels, weights = targets(batch, kind)
    loss = model.objectives["hubert"](replace(batch, labels=labels, label_weights=weights))
    (loss.terms[0].total / loss.terms[0].count).backward()
    embeddings = model.objectives["hubert"].head.label_embeddings
    assert embeddings.shape[0] == NUM_CLASSES * (3 if kind == "codebooks" else 1)
    assert (embeddings.grad.abs().sum(1) > 0).all()


def test_even_weights_over_all_classes_are_label_smoothing():
    """Against torch's own: cross_entropy with label_smoothing e is weights (1 - e) on the label and e / K on all."""
    logits = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    hard = torch.randint(7, (2, 5), generator=torch.Generator().manual_seed(1))
    classes = torch.arange(7).expand(2, 5, 7)
    weights = torch.full((2, 5, 7), 0.1 / 7) + 0.9 * torch.nn.functional.one_hot(hard, 7)
    expected = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), hard.flatten(), label_smoothing=0.1, reduction="sum"
    )
    assert torch.allclose(_cross_entropy(logits, classes, weights), expected, rtol=1e-5)
