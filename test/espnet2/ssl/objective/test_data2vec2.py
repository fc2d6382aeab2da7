"""data2vec 2.0's masks, targets, loss and teacher, against transformers and by hand."""

import math

import pytest
import torch
from data2vec_weights import same_data2vec_audio
from hubert_weights import randomise
from repository import ROOT
from tiny_model import mean_loss, noise_batch, seeded_forward, tiny_model
from tiny_watch import kill_feed_forward, watch_training

from espnet2.ssl.modules.lengths import valid_frames
from espnet2.tasks.build import build, count_parameters
from espnet2.tasks.config import load_config
from espnet2.utils.errors import UserError

CONF = ROOT / "egs2/TEMPLATE/ssl1/conf"


def entry(model):
    return model.objectives["data2vec2"]


def small_model(conf: dict | None = None, *, norm: str = "layer", **encoder_conf):
    return tiny_model(
        "data2vec2",
        conf=conf,
        frontend="conv",
        frontend_conf={"norm": norm, "feature_grad_mult": 1.0},
        encoder_conf={"position_kernel": 19, "position_groups": 4} | encoder_conf,
    )


def test_every_clone_has_its_own_mask_of_the_exact_size():
    draw = entry(small_model({"num_clones": 8, "mask_prob": 0.55, "mask_adjust": 0.1})).draw
    drawn = draw(torch.tensor([16000, 16000, 9000]), ("a", "b", "c"), torch.Generator().manual_seed(0))
    lengths = [49, 49, 27]
    assert drawn["mask"].shape == (3, 8, 49) and drawn["keep"].shape == (3, 8, 49 - 26)
    assert drawn["mask"].sum(-1).tolist() == [[int(0.55 * length)] * 8 for length in lengths]
    assert len({tuple(row) for row in drawn["mask"].flatten(0, 1).tolist()}) == 24
    for row, length in enumerate(lengths):
        for clone in range(8):
            seen = drawn["keep"][row, clone]
            expected = [frame for frame in range(length) if not drawn["mask"][row, clone, frame]]
            assert seen[seen >= 0].tolist() == expected


@torch.no_grad()
def test_targets_are_the_mean_of_normalised_branches_as_in_transformers():
    """Its blocks have no ALiBi, so ours is turned off."""
    model = small_model()
    model.encoder.attention_position.slopes.zero_()
    entry(model).teacher.encoder.attention_position.slopes.zero_()
    randomise(model, seed=1)
    entry(model).teacher.become(model.encoder, loaded=())
    other = same_data2vec_audio(model, mask_embedding=torch.zeros(model.encoder.dim))
    branches = []
    for layer in other.encoder.layers:
        layer.feed_forward.register_forward_hook(lambda module, inputs, output: branches.append(output))
    wavs = 0.1 * torch.randn(2, 16000)
    other(wavs)
    expected = sum(
        (x - x.mean(1, keepdim=True)) / (x.var(1, correction=0, keepdim=True) + 1e-5).sqrt() for x in branches
    )
    target, _ = entry(model)._target(model.eval().frontend(wavs, None).projected, None)
    torch.testing.assert_close(target, expected / len(branches), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_loss_by_hand():
    """Squared error of masked frames, summed over channels, over the root of their number; each clone by itself."""
    model = small_model({"num_clones": 3}).eval()
    objective, batch = entry(model), noise_batch(model, (16000, 9000))
    draws = batch.draws["data2vec2"]
    frames = model.frontend(batch.wavs, batch.wav_lengths)
    target, _ = objective._target(frames.projected, frames.lengths)
    valid = valid_frames(frames.lengths, frames.projected.size(1))
    total = 0.0
    for clone in range(3):
        mask, keep = draws["mask"][:, clone], draws["keep"][:, clone]
        x = frames.projected.masked_fill(mask[..., None], 0)
        encoded = model.encoder(x, frames.lengths, keep=keep).last
        objective.decoder.noise_std = 0.0  # noise is drawn for all clones at once
        prediction = objective.decoder(encoded, keep, mask.size(1), valid)
        total += float((prediction - target)[mask].square().sum()) / math.sqrt(model.encoder.dim)
    (term,) = model(batch)["data2vec2"].terms
    assert float(term.total) == pytest.approx(total, rel=1e-5)
    assert int(term.count) == int(draws["mask"].sum()) == 3 * (24 + 13)


def test_one_error_of_one_costs_the_root_of_the_width():
    """||(1, 1, 1, 1)||^2 / sqrt(4) = 2 for each frame."""
    assert (torch.ones(4).square().sum() / math.sqrt(4)).item() == 2.0
    model = small_model({"noise_std": 0.0})
    objective, batch = entry(model), noise_batch(model)
    objective._target = lambda projected, lengths: (torch.zeros_like(projected), [projected.detach()])
    with torch.no_grad():
        for parameter in objective.decoder.output.parameters():
            parameter.zero_()
        objective.decoder.output.bias += 1
    (term,) = seeded_forward(model, batch)["data2vec2"].terms
    assert float((term.total / term.count).detach()) == pytest.approx(math.sqrt(model.encoder.dim))


def test_student_does_not_see_masked_frames():
    """With one clone, no gradient reaches the frontend's output at masked frames: neither as input nor as target."""
    model = small_model({"num_clones": 1})
    batch, kept = noise_batch(model), {}
    forward = model.frontend.forward

    def watched(*args):
        frames = forward(*args)
        frames.projected.retain_grad()
        kept["x"] = frames.projected
        return frames

    model.frontend.forward = watched
    mean_loss(model, batch).backward()
    mask = batch.draws["data2vec2"]["mask"][:, 0]
    gradient = kept["x"].grad.abs().sum(-1)
    assert (gradient[mask] == 0).all() and (gradient[~mask] > 0).all()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == (".teacher." in name), name


def test_one_teacher_pass_serves_all_clones():
    model = small_model({"num_clones": 4})
    calls = []
    entry(model).teacher.encoder.register_forward_hook(lambda module, inputs, output: calls.append(inputs[0].shape))
    model(noise_batch(model))
    assert calls == [(2, 49, model.encoder.dim)]


def test_a_step_moves_the_whole_teacher():
    """Positions too are averaged; DinoSR copies them."""
    model = small_model({"decay_start": 0.5, "decay_end": 0.5}, alibi_learned_scale=True)
    teacher = entry(model).teacher.encoder
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter += 0.1
    model.after_step(1)
    assert "attention_position.scale" in before
    for name, value in teacher.state_dict().items():
        torch.testing.assert_close(value, before[name] + 0.05)


def test_published_configs():
    with torch.device("meta"):
        base, large = (build(load_config(CONF / f"train_data2vec2_{size}.yaml")) for size in ("base", "large"))
    objective = entry(base)
    assert count_parameters(base.frontend) + count_parameters(base.encoder) == 93_164_288 - 768 + 12
    first, later = 384 * (768 // 16) * 7 + 384, 384 * (384 // 16) * 7 + 384
    assert count_parameters(objective.decoder) == first + 3 * later + 384 * 768 + 768
    assert objective.layers == tuple(range(5, 13)) and entry(large).layers == tuple(range(9, 25))
    assert objective.teacher_decay(37500) == pytest.approx((0.999 + 0.99999) / 2)
    assert objective.teacher_decay(75000) == objective.teacher_decay(400000) == 0.99999
    assert entry(large).teacher_decay(300000) == 1.0
    mini = build(load_config(CONF / "train_data2vec2_mini.yaml"))
    assert 1.3e6 < sum(parameter.numel() for parameter in mini.parameters() if parameter.requires_grad) < 1.9e6


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match="num_target_layers is 3, but the encoder has 2 layers"):
        small_model({"num_target_layers": 3})
    with pytest.raises(UserError, match="decoder_dim 8 is not a multiple of decoder_groups 3"):
        small_model({"decoder_groups": 3})
    draw = entry(small_model({"mask_span": 30})).draw
    assert draw.min_samples() == entry(small_model()).context.geometry.num_samples(30)


def test_watch_sees_a_collapse_and_no_other():
    conf = {"decay_start": 0.9, "decay_end": 0.9}
    assert watch_training(tiny_model("data2vec2", conf=conf), 200) == []
    warnings = watch_training(tiny_model("data2vec2", conf=conf), 200, disturb=kill_feed_forward)
    assert any("target_std is" in text and "healthy is above 0.1" in text and "lower optim_conf lr" in text
               for text in warnings), warnings  # fmt: skip


def test_watch_names_each_figure():
    healthy = {"target_std": 0.5, "prediction_std": 0.2, "features_std": 0.5}
    objective = entry(small_model())
    assert objective.warnings(healthy, 10000) == []
    for name in healthy:
        (text,) = objective.warnings(healthy | {name: 1e-3}, 10000)
        assert text.startswith(f"{name} is")
        assert objective.warnings(healthy | {name: 1e-3}, 100) == []
