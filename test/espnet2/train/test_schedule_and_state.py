"""Steps in, learning rates out; validations in, the best ones out; one gradient in, its clipped self out."""

import pytest
import torch

from espnet2.data.sampler import Cursor
from espnet2.train.config import Criterion, TrainConfig
from espnet2.train.distributed import SINGLE
from espnet2.train.meter import Meter, Tally
from espnet2.train.optimizer import AdamWConfig, build_optimizer, clip_gradients
from espnet2.train.scheduler import Cosine, Linear, Tristage, WarmupLR, schedule_config, schedule_steps
from espnet2.train.state import TrainState, Validation, is_stale, ranking
from espnet2.utils.config import parse_config
from espnet2.utils.errors import UserError


def test_linear_is_hubert_base():
    """32,000 of 400,000 updates up, the rest down to zero, which is reached one step after the last."""
    schedule = Linear()
    assert schedule.factor(16_000, 400_000) == 0.5
    assert schedule.factor(32_000, 400_000) == 1.0
    assert schedule.factor(216_000, 400_000) == pytest.approx(0.5, abs=1e-5)
    assert 0 < schedule.factor(400_000, 400_000) < 1e-5
    assert schedule.factor(400_001, 400_000) == 0.0


def test_warmuplr_is_espnets():
    schedule = WarmupLR(warmup_steps=100)
    assert schedule.factor(50, 0) == pytest.approx(0.5)
    assert schedule.factor(100, 0) == pytest.approx(1.0)
    assert schedule.factor(400, 0) == pytest.approx(0.5)


def test_cosine_and_tristage_phases():
    cosine = Cosine(warmup_steps=10, final_factor=0.1)
    assert cosine.factor(10, 109) == 1.0
    assert cosine.factor(60, 109) == pytest.approx(0.55)
    assert cosine.factor(110, 109) == pytest.approx(0.1)
    tristage = Tristage()
    assert tristage.factor(5, 100) == pytest.approx(0.01 + 0.99 * 0.5)
    assert tristage.factor(30, 100) == 1.0
    assert tristage.factor(75, 100) == pytest.approx(0.05**0.5)
    assert tristage.factor(100, 100) == pytest.approx(0.05)


@pytest.mark.parametrize("name", ["constant", "linear", "cosine", "tristage", "warmuplr"])
def test_every_schedule_stays_between_zero_and_one(name):
    schedule = schedule_config(name)()
    assert all(0 <= schedule.factor(step, 1000) <= 1 for step in range(1, 1200))


def test_impossible_schedules_are_refused():
    with pytest.raises(UserError, match="add up to 1"):
        schedule_steps(Tristage(phase_ratio=(0.1, 0.1, 0.1)), 100)
    with pytest.raises(UserError, match="below the 100 steps"):
        schedule_steps(Linear(warmup_steps=100), 100)


def test_clipping_scales_all_gradients_alike():
    parameters = [torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1))]
    parameters[0].grad, parameters[1].grad = torch.tensor([3.0, 0.0]), torch.tensor([4.0])
    assert float(clip_gradients(parameters, 1.0)) == pytest.approx(5.0)
    assert parameters[1].grad.item() == pytest.approx(0.8, rel=1e-4)
    parameters[0].grad[1] = float("nan")
    assert not torch.isfinite(clip_gradients(parameters, 1.0))


def test_decay_can_leave_biases_and_norms_alone():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LayerNorm(2))
    groups = build_optimizer(model, AdamWConfig(decay_norm_and_bias=False)).param_groups
    assert [len(group["params"]) for group in groups] == [1, 3]
    assert [group["weight_decay"] for group in groups] == [0.01, 0.0]


def validations(*losses: float) -> tuple[Validation, ...]:
    return tuple(Validation(update, {}, {"loss": loss}) for update, loss in enumerate(losses, 1))


def test_ranking_and_patience():
    loss = Criterion("valid", "loss", "min")
    assert ranking(validations(3.0, 1.0, float("nan"), 1.0), loss) == [2, 4, 1]
    assert ranking(validations(3.0, 1.0), Criterion("valid", "loss", "max")) == [1, 2]
    assert ranking(validations(3.0), Criterion("valid", "accuracy", "max")) == []
    assert not is_stale(validations(3.0, 1.0, 2.0), loss, 2)
    assert is_stale(validations(1.0, 2.0, 1.5), loss, 2)
    assert not is_stale(validations(1.0, 2.0), loss, 2)
    assert not is_stale(validations(1.0, 2.0, 3.0), loss, None)


def test_state_survives_json():
    state = TrainState(3, Cursor(1, 2, 30), 1, 0, 1.5, validations(0.1, 0.2))
    import json

    assert TrainState.from_json(json.loads(json.dumps(state.to_json()))) == state


def test_meter_divides_each_figure_by_its_own_count():
    """ESPnet's defect 1: unmasked accuracy computed from masked counts."""
    meter = Meter()
    for total, count in ((3.0, 4.0), (1.0, 4.0)):
        sums = {"loss_a": torch.tensor([total, count]), "masked_accuracy": torch.tensor([1.0, 2.0])}
        sums["unmasked_accuracy"] = torch.tensor([0.0, 3.0])
        meter.add(Tally({name: value.double() for name, value in sums.items()}, {"loss_a": 10.0}))
    figures = meter.read(SINGLE)
    assert figures == {"loss": 5.0, "loss_a": 0.5, "masked_accuracy": 0.5, "unmasked_accuracy": 0.0}
    copy = Meter.from_json(meter.to_json(SINGLE), torch.device("cpu"))
    assert copy.read(SINGLE) == figures


def test_nested_sections_are_checked():
    with pytest.raises(UserError, match="did you mean 'lr'"):
        parse_config(TrainConfig, {"optim_conf": {"lrr": 1}}, "conf.yaml")
    with pytest.raises(UserError, match="did you mean 'warmup_steps'"):
        parse_config(TrainConfig, {"scheduler": "linear", "scheduler_conf": {"warmup_step": 1}}, "conf.yaml")
    config = parse_config(TrainConfig, {"optim_conf": {"lr": "5e-4"}, "freeze_param": "frontend encoder"}, "conf.yaml")
    assert config.optim_conf.lr == 5e-4 and config.freeze_param == ("frontend", "encoder")
