"""DinoSR's targets, loss, teacher and codebooks, against transformers and by hand."""

import math
from dataclasses import replace

import pytest
import torch
from data2vec_weights import same_data2vec_audio
from hubert_weights import randomise
from repository import ROOT
from safetensors.torch import save_file
from tiny_model import mean_loss, noise_batch, tiny_config, tiny_model
from tiny_watch import kill_feed_forward, watch_training

from espnet2.data.dataset import Loaded
from espnet2.pretrain.initial import load_initial
from espnet2.ssl.modules.norm import normalise_over_time
from espnet2.tasks.build import build, count_parameters
from espnet2.tasks.config import load_config, resolve_config
from espnet2.train.config import TrainConfig
from espnet2.train.distributed import SINGLE
from espnet2.train.updater import Updater, prepare
from espnet2.utils.errors import UserError

STACK = {"position": "conv_stack", "position_kernel": 19, "position_groups": 4}
CONF = ROOT / "egs2/TEMPLATE/ssl1/conf"


def stacked_model(conf: dict | None = None, **encoder_conf):
    """Layer-normalised convolutions below, a stack of convolutions as positions: Base in small."""
    frontend_conf = {"norm": "layer", "feature_grad_mult": 1.0}
    return tiny_model(
        "dinosr", conf=conf, frontend="conv", frontend_conf=frontend_conf, encoder_conf=STACK | encoder_conf
    )


def entry(model):
    return model.objectives["dinosr"]


@torch.no_grad()
def test_student_and_targets_equal_transformers():
    """Last layer, and the feed-forward branches that become targets, taken there by a hook."""
    model = stacked_model()
    randomise(model, seed=1)
    other = same_data2vec_audio(model, mask_embedding=entry(model).mask_embedding)
    branches_there = []
    for layer in other.encoder.layers:
        layer.feed_forward.register_forward_hook(lambda module, inputs, output: branches_there.append(output))
    wavs = 0.1 * torch.randn(2, 16000)
    expected = other(wavs).last_hidden_state
    model.eval()
    frames = model.frontend(wavs, None)
    torch.testing.assert_close(model.encoder(frames.projected, frames.lengths).last, expected, atol=1e-5, rtol=1e-5)
    entry(model).weights_loaded({"frontend.norm.weight"})  # the teacher takes over the random weights
    branches, targets = entry(model)._targets(frames.projected, None)
    for branch, target, there in zip(branches, targets, branches_there, strict=True):
        torch.testing.assert_close(branch, there, atol=1e-5, rtol=1e-5)
        mean, variance = there.mean(1, keepdim=True), there.var(1, correction=0, keepdim=True)
        torch.testing.assert_close(target, (there - mean) / (variance + 1e-5).sqrt(), atol=1e-4, rtol=1e-4)


def test_instance_norm_toy():
    normalised = normalise_over_time(torch.tensor([[[1.0], [2.0], [3.0], [6.0]]]), None, eps=0.0)
    torch.testing.assert_close(
        normalised.flatten(), torch.tensor([-1.06904, -0.53452, 0.0, 1.60357]), atol=1e-5, rtol=0
    )


@torch.no_grad()
def test_loss_is_the_mean_cross_entropy_of_the_heads_in_nats():
    model = tiny_model("dinosr").eval()
    objective, batch = entry(model), noise_batch(model, (16000, 11000))
    mask = batch.draws["dinosr"]["mask"]
    frames = model.frontend(batch.wavs, batch.wav_lengths)
    _, targets = objective._targets(frames.projected, frames.lengths)
    hidden = torch.where(mask[..., None], objective.mask_embedding, frames.projected)
    last = model.encoder(hidden, frames.lengths).last
    total = 0.0
    for number, target in enumerate(targets):
        codes = objective.codebooks.sums[number] / objective.codebooks.counts[number][:, None]
        ids = torch.cdist(target, codes[None].expand(2, -1, -1)).argmin(-1)
        scores = objective.heads[number](last).log_softmax(-1)
        total -= float(scores.gather(-1, ids[..., None])[..., 0][mask].double().sum()) / len(targets)
    (term,) = model(batch)["dinosr"].terms
    assert float(term.total) == pytest.approx(total, rel=1e-5)
    assert int(term.count) == int(mask.sum())


def test_mask_does_not_reach_the_teacher():
    """Its codes are those of `codes`, whatever the student cannot see; and a wav's codes do not depend on padding."""
    model = tiny_model("dinosr")
    objective, batch = entry(model), noise_batch(model, (16000, 11000))
    assigned = []
    assign = objective.codebooks.assign
    objective.codebooks.assign = lambda number, frames: assigned.append(assign(number, frames)) or assigned[-1]
    model(batch)
    hidden = replace(batch, draws={"dinosr": {"mask": torch.ones_like(batch.draws["dinosr"]["mask"])}})
    model(hidden)
    assert all(torch.equal(one, other) for one, other in zip(assigned[:2], assigned[2:], strict=True))
    objective.codebooks.assign = assign
    batch_codes = objective.codes(batch.wavs, batch.wav_lengths)
    alone = objective.codes(batch.wavs[1:, :11000], batch.wav_lengths[1:])
    num_frames = int(batch_codes.lengths[1])
    assert model.training and list(batch_codes.codes) == [1, 2]
    for layer, codes in batch_codes.codes.items():
        assert torch.equal(codes[0], assigned[layer - 1][0])
        assert torch.equal(codes[1, :num_frames], alone.codes[layer][0]) and (codes[1, num_frames:] == -1).all()


def test_gradient_reaches_the_student_only():
    model = stacked_model()
    mean_loss(model, noise_batch(model)).backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == (".teacher." in name), name
    assert not any("codebooks" in name for name, _ in model.named_parameters())
    assert {"objectives.dinosr.codebooks.sums", "objectives.dinosr.codebooks.counts"} <= model.state_dict().keys()


def test_heads_may_read_their_own_layers():
    """SpidR: every weight still gets a gradient, and layerdrop is refused."""
    model = tiny_model("dinosr", conf={"head_input": "same_layer"})
    mean_loss(model, noise_batch(model)).backward()
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)
    last = tiny_model("dinosr")
    assert mean_loss(model, noise_batch(model)) != mean_loss(last, noise_batch(last))
    with pytest.raises(UserError, match=r"layerdrop is 0\.05, but a head reads each of the top layers"):
        tiny_model("dinosr", conf={"head_input": "same_layer"}, encoder_conf={"layerdrop": 0.05})


def test_a_step_moves_teacher_and_codes():
    model = stacked_model({"decay_start": 0.5, "decay_end": 0.5})
    objective = entry(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.before_update(1, seed=0)
    model(noise_batch(model))
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter += 0.1
    model.after_step(1)
    for name, value in objective.teacher.encoder.state_dict().items():
        share = 0.1 if name.startswith("position.") else 0.05
        torch.testing.assert_close(value, before[f"objectives.dinosr.teacher.encoder.{name}"] + share)
    assert not torch.equal(objective.codebooks.sums, before["objectives.dinosr.codebooks.sums"])


def test_frozen_teacher_and_frontend():
    """From that update on; the codes go on. Without `freeze_frontend` (the original) the frontend goes on too."""
    model = tiny_model("dinosr", conf={"freeze_teacher_step": 3})
    objective = entry(model)
    assert objective.teacher_decay(2) < 1 and objective.teacher_decay(3) == objective.teacher_decay(9) == 1.0
    assert not list(objective.frozen_parameters(2))
    assert {id(p) for p in model.frozen_parameters(3)} == {id(p) for p in model.frontend.parameters()}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.before_update(3, seed=0)
    model(noise_batch(model))
    with torch.no_grad():
        model.encoder.norm.weight += 1
    model.after_step(3)
    for name, value in objective.state_dict().items():
        assert torch.equal(value, before[f"objectives.dinosr.{name}"]) == ("codebooks" not in name), name
    kept = entry(tiny_model("dinosr", conf={"freeze_teacher_step": 3, "freeze_frontend": False}))
    assert not list(kept.frozen_parameters(5))


def test_optimizer_passes_over_what_is_frozen():
    """No momentum of earlier updates, no weight decay."""
    model = tiny_model("dinosr", conf={"freeze_teacher_step": 2})
    updater = Updater(model, TrainConfig(optim_conf={"weight_decay": 0.1}), SINGLE, max_update=10)
    moved = []
    for update in (1, 2):
        before = {name: value.clone() for name, value in model.named_parameters()}
        updater.launch([prepare(model, Loaded(noise_batch(model), update, 32000), SINGLE.device)], update)
        updater.finish(update, is_finite=True)
        moved.append({name for name, value in model.named_parameters() if not torch.equal(value, before[name])})
    of_frontend = {name for name, _ in model.named_parameters() if name.startswith("frontend.")}
    assert of_frontend and of_frontend <= moved[0] and not of_frontend & moved[1]
    assert "encoder.blocks.0.ffn_in.weight" in moved[0] & moved[1]
    assert any(".teacher." in name for name in moved[0]) and not any(".teacher." in name for name in moved[1])


def test_teacher_starts_from_initial_weights(tmp_path):
    """`init_param` with another method's model: the teacher is a copy of what the student got."""
    other = tiny_model("hubert", seed=5)
    save_file(other.state_dict(), tmp_path / "model.safetensors")
    model = tiny_model("dinosr")
    model.weights_loaded(load_initial(model, [str(tmp_path)]))
    for name, value in entry(model).teacher.encoder.state_dict().items():
        assert torch.equal(value, other.encoder.state_dict()[name]), name


def test_published_schedules():
    base = load_config(CONF / "train_dinosr_base.yaml")
    with torch.device("meta"):
        decay = build(base).objectives["dinosr"].teacher_decay
    assert (decay(15000), decay(30000), decay(200000)) == pytest.approx((0.99945, 0.9999, 0.9999), abs=1e-12)
    assert decay(200001) == 1.0
    schedule = base.scheduler_conf
    rates = {step: base.optim_conf.lr * schedule.factor(step, base.max_update) for step in (0, 12000, 200000)}
    assert rates == pytest.approx({0: 5e-6, 12000: 5e-4, 200000: 5e-4})
    assert base.optim_conf.lr * schedule.factor(300000, base.max_update) == pytest.approx(5e-5)
    assert base.optim_conf.lr * schedule.factor(400000, base.max_update) == pytest.approx(5e-6)


def test_base_has_the_published_size():
    with torch.device("meta"):
        model = build(load_config(CONF / "train_dinosr_base.yaml"))
    objective = entry(model)
    shared = count_parameters(model.frontend) + count_parameters(model.encoder) + objective.mask_embedding.numel()
    assert shared == 93_164_288
    assert count_parameters(objective.heads) == 8 * (768 * 256 + 256)
    assert objective.layers == tuple(range(5, 13))


def test_mini_config_builds():
    model = build(load_config(CONF / "train_dinosr_mini.yaml"))
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert 1.3e6 < trained < 1.9e6


def test_masks_have_the_published_coverage():
    lengths, utt_ids = torch.full((400,), 160000), [""] * 400
    for same in (False, True):
        draw = entry(tiny_model("dinosr", conf={"mask_prob": 0.8, "mask_span": 10, "require_same_masks": same})).draw
        mask = draw(lengths, utt_ids, torch.Generator().manual_seed(0))["mask"]
        if not same:
            assert mask.float().mean() == pytest.approx(0.567, abs=0.005)
    assert mask.sum(1).unique().numel() == 1


def test_more_codebooks_than_layers_are_refused():
    with pytest.raises(UserError, match="num_codebooks is 3, but the encoder has 2 layers"):
        tiny_model("dinosr", conf={"num_codebooks": 3})


def test_figures():
    model = tiny_model("dinosr")
    model.before_update(1, seed=0)
    stats = model(noise_batch(model))["dinosr"].stats
    figures = {name: float(ratio.total / ratio.count) for name, ratio in stats.items()}
    assert 1 <= figures["code_perplexity"] <= 11 and 1 <= figures["prediction_perplexity"] <= 11
    per_layer = [figures[f"code_perplexity_layer{layer}"] for layer in (1, 2)]
    assert figures["code_perplexity"] == pytest.approx(sum(per_layer) / 2)
    assert 0.5 < figures["target_std"] <= 1.0  # below 1 where the variance is not far above epsilon
    assert figures["teacher_std"] > 0.003
    assert figures["teacher_decay"] == pytest.approx(0.999, abs=1e-6)
    assert figures["top_code_share"] >= 1 / figures["codes_used"]


def test_watch_sees_a_collapse_and_no_other():
    conf = {"decay_start": 0.9, "decay_end": 0.9}
    assert watch_training(tiny_model("dinosr", conf=conf), 200) == []
    warnings = watch_training(tiny_model("dinosr", conf=conf), 200, disturb=kill_feed_forward)
    assert any("teacher_std is" in text and "healthy is above 0.003" in text and "lower optim_conf lr" in text
               for text in warnings), warnings  # fmt: skip


def test_watch_names_each_figure():
    objective = entry(tiny_model("dinosr", conf={"num_codes": 256}))
    healthy = {"code_perplexity": 141.0, "teacher_std": 0.1, "loss_masked": 0.87}
    assert objective.warnings(healthy, 10000) == []
    for name, value in (("code_perplexity", 5.0), ("teacher_std", 1e-4), ("loss_masked", 0.2)):
        (text,) = objective.warnings(healthy | {name: value}, 10000)
        assert text.startswith(f"{name} is")
        assert objective.warnings(healthy | {name: value}, 100) == []
    assert math.log(256) * 0.08 == pytest.approx(0.44, abs=0.01)


def test_trains_beside_hubert():
    config = tiny_config("hubert").model_dump(mode="json")
    config["loss"] += tiny_config("dinosr").model_dump(mode="json")["loss"]
    torch.manual_seed(0)
    model = build(resolve_config(config))
    losses = model(noise_batch(model))
    assert losses.keys() == {"hubert", "dinosr"}
    mean_loss(model, noise_batch(model)).backward()
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)
