"""HuBERT's own rules: alignment of labels, counts, penalty, accuracies from their own counts."""

from dataclasses import replace

import pytest
import torch
from tiny_model import ENCODER, NUM_CLASSES, mean_loss, noise_batch, tiny_model

from espnet2.data.labels.packed import NO_LABEL
from espnet2.tasks.build import build
from espnet2.tasks.config import resolve_config


def terms(model, batch):
    return {term.name: term for term in model(batch)["hubert"].terms}


def test_terms_and_weights():
    model = tiny_model(frontend="conv")
    loss_terms = terms(model, noise_batch(model))
    assert {name: term.weight for name, term in loss_terms.items()} == {"masked": 1.0, "features_penalty": 10.0}
    model = tiny_model(frontend="conv", conf={"unmasked_weight": 0.5, "features_penalty_weight": 0.0})
    assert {name: term.weight for name, term in terms(model, noise_batch(model)).items()} == {
        "masked": 1,
        "unmasked": 0.5,
    }


def test_computed_features_have_no_penalty():
    model = tiny_model(frontend="fbank")
    assert list(terms(model, noise_batch(model))) == ["masked"]


def test_penalty_is_the_mean_square_times_the_masked_frames():
    model = tiny_model(frontend="conv")
    batch = noise_batch(model)
    forward = model.frontend.forward
    model.frontend.forward = lambda *inputs: forward(*inputs)._replace(features=torch.full((2, 49, 12), 2.0))
    penalty = terms(model, batch)["features_penalty"]
    masked = batch.draws["hubert"]["mask"].sum()
    assert penalty.weight * penalty.total == 40 * masked


def test_only_masked_frames_with_a_label_count():
    model = tiny_model()
    batch = noise_batch(model)
    mask = batch.draws["hubert"]["mask"]
    assert terms(model, batch)["masked"].count == mask.sum()
    labels = batch.labels.clone()
    labels[:, 30:] = NO_LABEL  # the label sequence is shorter than the frames
    short = replace(batch, labels=labels)
    assert terms(model, short)["masked"].count == mask[:, :30].sum() == model.first.counts(short)["masked"]
    cut = replace(batch, labels=batch.labels[:, :30])
    assert torch.equal(terms(model, cut)["masked"].total, terms(model, short)["masked"].total)
    labels = torch.where(mask, (labels + 1) % NUM_CLASSES, labels)
    assert not torch.equal(
        terms(model, replace(batch, labels=labels))["masked"].total, terms(model, short)["masked"].total
    )


def test_labels_of_visible_frames_do_not_move_the_loss():
    model = tiny_model()
    batch = noise_batch(model)
    labels = torch.where(batch.draws["hubert"]["mask"], batch.labels, (batch.labels + 1) % NUM_CLASSES)
    assert torch.equal(mean_loss(model, batch), mean_loss(model, replace(batch, labels=labels)))


def test_hidden_frames_are_hidden():
    """What lies under a mask does not reach the encoder (the mel frontend's normalisation apart)."""
    model = tiny_model(frontend_conf={"mel_norm": "none"})
    batch = noise_batch(model)
    mask = torch.zeros_like(batch.draws["hubert"]["mask"])
    mask[:, 10:30] = True
    batch = replace(batch, draws={"hubert": {"mask": mask}})
    wavs = batch.wavs.clone()
    wavs[:, 320 * 11 : 320 * 28] = 0.7  # windows of frames 10..29 only
    assert torch.equal(mean_loss(model, batch), mean_loss(model, replace(batch, wavs=wavs)))
    wavs[:, 320 * 35 :] = 0.7
    assert not torch.equal(mean_loss(model, batch), mean_loss(model, replace(batch, wavs=wavs)))


def test_accuracies_come_from_their_own_frames():
    model = tiny_model()
    batch = noise_batch(model)
    logits = torch.zeros(2, 49, NUM_CLASSES)
    logits.scatter_(2, batch.labels.clamp(min=0)[..., None], 1.0)  # all right
    model.first.head.forward = lambda hidden: logits
    mask = batch.draws["hubert"]["mask"]

    def accuracies():
        stats = model(batch)["hubert"].stats
        return {name: (int(ratio.total), int(ratio.count)) for name, ratio in stats.items()}

    masked, unmasked = int(mask.sum()), int((~mask).sum())
    assert accuracies() == {"masked_accuracy": (masked, masked), "unmasked_accuracy": (unmasked, unmasked)}
    wrong = (batch.labels + 1) % NUM_CLASSES
    logits.copy_(torch.zeros_like(logits).scatter_(2, torch.where(mask, wrong, batch.labels)[..., None], 1.0))
    assert accuracies() == {"masked_accuracy": (0, masked), "unmasked_accuracy": (unmasked, unmasked)}
    logits.zero_()  # all scores equal: no prediction, though argmax says class 0
    assert accuracies() == {"masked_accuracy": (0, masked), "unmasked_accuracy": (0, unmasked)}


def test_loss_starts_at_the_entropy_of_a_uniform_guess():
    torch.manual_seed(0)
    model = tiny_model(conf={"num_classes": 504, "label_dim": 256})
    assert mean_loss(model, noise_batch(model)).item() == pytest.approx(6.25, abs=0.15)  # ln 504 = 6.22


def test_mask_embedding_starts_uniform():
    embedding = tiny_model(encoder_conf={"dim": 512}).first.mask_embedding
    assert embedding.min() >= 0 and embedding.max() <= 1 and embedding.mean().item() == pytest.approx(0.5, abs=0.05)


def test_two_entries_share_the_encoder():
    entry = {"name": "hubert", "conf": {"num_classes": NUM_CLASSES}}
    config = resolve_config({"frontend": "fbank", "encoder_conf": ENCODER, "loss": [entry, entry | {"weight": 0.5}]})
    model = build(config)
    batch = noise_batch(model)
    assert list(model(batch)) == ["hubert", "hubert_2"] and model.weights == {"hubert": 1.0, "hubert_2": 0.5}
    assert not torch.equal(batch.draws["hubert"]["mask"], batch.draws["hubert_2"]["mask"])
    names = [name for name, _ in model.named_parameters()]
    assert sum(name.endswith("ffn_in.weight") for name in names) == 2  # two blocks, once each


@pytest.mark.parametrize(("frontend", "norm"), [("conv", "group"), ("conv", "layer"), ("fbank", None)])
@pytest.mark.parametrize("lengths", [(16000, 16000), (16000, 9000)])
def test_bf16_loss_is_near_the_float32_one(frontend, norm, lengths):
    options = {"frontend_conf": {"norm": norm}} if norm else {}
    model = tiny_model(frontend=frontend, encoder_conf={"layerdrop": 0.5}, **options)
    batch = noise_batch(model, lengths)
    expected = mean_loss(model, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = mean_loss(model, batch)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected, atol=0.1, rtol=0.02)
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
