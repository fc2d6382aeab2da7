"""The labels' loss against HuBERT, the codes, soft targets and moves by hand, the schedule and the watch."""

from dataclasses import replace

import pytest
import torch
from repository import ROOT
from tiny_model import NUM_CLASSES, mean_loss, noise_batch, tiny_model
from tiny_watch import watch_training
from torch.nn import functional as F

from espnet2.data.labels.packed import NO_LABEL
from espnet2.ssl.model import SSLModel
from espnet2.ssl.objective.online_hubert import NO_FRAMES, OnlineHubert
from espnet2.tasks.build import build
from espnet2.tasks.config import load_config
from espnet2.utils.errors import UserError

LONG = {"anchor_updates": 100, "mix_updates": 100}
LENGTHS = (16000, 11000)


def online_model(conf: dict | None = None, **options) -> SSLModel:
    return tiny_model("online_hubert", conf=conf, **options)


def entry(model: SSLModel) -> OnlineHubert:
    return model.objectives["online_hubert"]


def terms(model: SSLModel, batch) -> dict[str, torch.Tensor]:
    return {term.name: term.total / term.count for term in model(batch)["online_hubert"].terms}


@torch.no_grad()
def teacher_frames(model: SSLModel, batch, layers=(1,)) -> torch.Tensor:
    """What the codes are of: layers of a fresh model, whose teacher is the student, by `extract`."""
    hidden, _ = entry(model).extract(batch.wavs, batch.wav_lengths, layers)
    return torch.cat([F.layer_norm(layer, layer.shape[-1:]) for layer in hidden], -1)


def fill_codes(model: SSLModel, seed: int = 0) -> torch.Tensor:
    """Random codes of three frames each: (codes, dim)."""
    books = entry(model).codebooks
    codes = torch.randn(books.sums.shape[1:], generator=torch.Generator().manual_seed(seed))
    books.sums.copy_(3 * codes)
    books.counts.fill_(3)
    return codes


def test_with_one_code_for_each_label_the_anchor_is_hubert() -> None:
    model, hubert = online_model({"codes_per_label": 1, **LONG}), tiny_model("hubert")
    weights = {name.replace("online_hubert", "hubert"): value for name, value in model.state_dict().items()}
    hubert.load_state_dict({name: weights[name] for name in hubert.state_dict()})
    model.before_update(1, seed=0)
    batch = noise_batch(model, LENGTHS)
    same = replace(batch, draws={"hubert": batch.draws["online_hubert"]})
    torch.testing.assert_close(mean_loss(model, batch).float(), mean_loss(hubert, same), rtol=1e-6, atol=0)
    figures, others = model(batch)["online_hubert"].stats, hubert(same)["hubert"].stats
    assert figures["masked_accuracy"].total == others["masked_accuracy"].total


@torch.no_grad()
def test_a_label_is_as_likely_as_its_codes_together() -> None:
    model = online_model({"codes_per_label": 3})
    batch = noise_batch(model, LENGTHS)
    objective, mask = entry(model), batch.draws["online_hubert"]["mask"]
    frames = model.frontend(batch.wavs, batch.padded_lengths)
    hidden = torch.where(mask[..., None], objective.mask_embedding, frames.inputs)
    shares = objective.head(model.encoder(hidden, frames.lengths).output).softmax(-1)
    of_labels = shares.unflatten(-1, (NUM_CLASSES, 3)).sum(-1)
    chosen = mask & (batch.labels != NO_LABEL)
    expected = -of_labels[chosen].gather(-1, batch.labels[chosen][:, None]).log().mean()
    assert float(terms(model, batch)["labels"]) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.0, 0.3])
@torch.no_grad()
def test_codes_are_the_nearest_and_soft_targets_fall_with_the_squared_distance(temperature: float) -> None:
    model = online_model({"code_temperature": temperature, "target_layers": [1, 2]})
    batch = noise_batch(model, LENGTHS)
    objective, mask = entry(model), batch.draws["online_hubert"]["mask"]
    codes = fill_codes(model)
    targets = teacher_frames(model, batch, (1, 2))
    squared = torch.cdist(targets, codes.expand(2, -1, -1)).square()
    expected_shares = F.one_hot(squared.argmin(-1), len(codes)).float()
    if temperature:
        expected_shares = torch.softmax(-squared / (temperature * 2 * model.encoder.dim), dim=-1)
    frames = model.frontend(batch.wavs, batch.padded_lengths)
    hidden = torch.where(mask[..., None], objective.mask_embedding, frames.inputs)
    scores = objective.head(model.encoder(hidden, frames.lengths).output).log_softmax(-1)
    chosen = mask & (batch.labels != NO_LABEL)
    expected = -(expected_shares * scores).sum(-1)[chosen].mean()
    assert float(terms(model, batch)["codes"]) == pytest.approx(float(expected), rel=1e-4)
    hard = objective.codes(batch.wavs, batch.wav_lengths)
    valid = torch.arange(targets.size(1)) < hard.lengths[:, None]
    assert torch.equal(hard.codes[1][valid], squared.argmin(-1)[valid])


def test_before_the_codes_count_they_are_means_over_the_frames_of_their_label_in_turn() -> None:
    model = online_model({"codes_per_label": 2, "code_decay": 0.9, **LONG})
    batch = noise_batch(model, LENGTHS)
    targets = teacher_frames(model, batch)
    model.before_update(1, seed=0)
    model(batch)
    model.after_step(1)
    books = entry(model).codebooks
    codes = books.sums[0] / books.counts[0][:, None]
    turn = torch.arange(targets.size(1)) % 2
    checked = 0
    for label in range(NUM_CLASSES):
        for code in range(2):
            members = targets[(batch.labels == label) & (turn == code)]
            count = float(books.counts[0, 2 * label + code])
            assert count == pytest.approx(0.9 * NO_FRAMES + 0.1 * len(members), rel=1e-4)
            torch.testing.assert_close(codes[2 * label + code], members.mean(0), atol=1e-2, rtol=1e-2)
            checked += len(members)
    assert checked == int((batch.labels != NO_LABEL).sum())


def test_once_the_codes_count_the_frames_of_all_micro_batches_move_the_nearest() -> None:
    model = online_model({"codes_per_label": 1, "code_decay": 0.9, "anchor_updates": 0})
    codes, batch = fill_codes(model), noise_batch(model, LENGTHS)
    targets = teacher_frames(model, batch)
    valid = batch.labels != NO_LABEL
    nearest = torch.cdist(targets, codes.expand(2, -1, -1)).argmin(-1)
    model.before_update(1, seed=0)
    for _ in range(2):
        model(batch)
    model.after_step(1)
    for code in range(NUM_CLASSES):
        members = targets[valid & (nearest == code)]
        expected = 0.9 * 3 * codes[code] + 0.1 * 2 * members.sum(0) if len(members) else 3 * codes[code]
        torch.testing.assert_close(entry(model).codebooks.sums[0, code], expected, atol=1e-4, rtol=1e-4)


def test_labels_hand_over_to_the_codes() -> None:
    model = online_model({"anchor_updates": 10, "mix_updates": 4})
    objective, batch = entry(model), noise_batch(model)
    assert [objective.share_of_codes(update) for update in (1, 10, 11, 12, 14, 15, 99)] == [0, 0, 0.25, 0.5, 1, 1, 1]
    model.before_update(11, seed=0)
    weights = {term.name: term.weight for term in model(batch)["online_hubert"].terms}
    assert weights == {"labels": 0.75, "codes": 0.25}
    at_once = entry(online_model({"anchor_updates": 0, "mix_updates": 1}))
    assert at_once.share_of_codes(1) == 1


def test_gradient_reaches_the_student_only_and_the_mask_not_the_teacher() -> None:
    model = online_model()
    fill_codes(model)
    batch = noise_batch(model)
    mean_loss(model, batch).backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == (".teacher." in name), name
    hidden = replace(batch, draws={"online_hubert": {"mask": torch.ones_like(batch.draws["online_hubert"]["mask"])}})
    seen, unseen = (model(sounds)["online_hubert"].stats["code_perplexity"].total for sounds in (batch, hidden))
    assert seen == unseen


def test_a_step_moves_teacher_and_codes_until_they_are_frozen() -> None:
    model = online_model({"teacher_decay": 0.5, "freeze_teacher_step": 2})
    objective = entry(model)
    for update, moves in ((1, True), (2, False)):
        before = {name: value.clone() for name, value in objective.state_dict().items()}
        assert bool(list(objective.frozen_parameters(update))) != moves
        model.before_update(update, seed=0)
        model(noise_batch(model))
        with torch.no_grad():
            for parameter in model.encoder.parameters():
                parameter += 0.1
        model.after_step(update)
        after = objective.state_dict()
        name = "teacher.encoder.norm.weight"
        torch.testing.assert_close(after[name], before[name] + (0.05 if moves else 0.0))
        assert torch.equal(after["codebooks.sums"], before["codebooks.sums"]) != moves


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UserError, match="no layer 3; it has layers 0 to 2"):
        online_model({"target_layers": [3]})
    with pytest.raises(UserError, match="target_layers begin at 1"):
        online_model({"target_layers": [0]})
    with pytest.raises(UserError, match="unmasked_weight is HuBERT's alone"):
        online_model({"unmasked_weight": 1.0})


def test_watch() -> None:
    """HuBERT's figure before the codes count, theirs after; a healthy training is not warned of, a dead teacher is."""
    objective = entry(online_model({"codes_per_label": 20, **LONG}))
    healthy = {"masked_accuracy": 0.5, "code_perplexity": 40.0}
    assert objective.warnings(healthy, 100) == objective.warnings(healthy, 5000) == []
    (text,) = objective.warnings(healthy | {"code_perplexity": 10.0}, 5000)
    assert text.startswith("code_perplexity is 10.00 of 140") and "healthy is above 14.0" in text
    assert objective.warnings(healthy | {"code_perplexity": 10.0}, 250) == []
    conf = {"codes_per_label": 3, "anchor_updates": 20, "mix_updates": 20}
    assert watch_training(online_model(conf), 240, interval_updates=60) == []
    warnings = watch_training(online_model(conf), 240, interval_updates=60, disturb=kill_teacher)
    assert any("code_perplexity is" in text for text in warnings), warnings


@torch.no_grad()
def kill_teacher(model: SSLModel) -> None:
    """All its frames become the same."""
    for parameter in entry(model).teacher.parameters():
        parameter.zero_()


def test_the_mini_config_builds_with_a_cheap_teacher() -> None:
    conf = ROOT / "egs2/TEMPLATE/ssl1/conf/train_online_hubert_mini.yaml"
    model = build(load_config(conf, ["--loss", "online_hubert.conf.num_classes=100"]))
    assert entry(model).num_codes == 500 and entry(model).codebooks.sums.shape == (1, 500, 192)
