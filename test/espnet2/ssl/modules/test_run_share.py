"""Shares of a run, in both objectives that have a teacher; the updates and decays of that run, or one message, out."""

import math

import pytest
import torch
from tiny_model import tiny_config, tiny_model

from espnet2.ssl.modules.ema import exponential_decay, linear_decay
from espnet2.tasks.config import dump_config, load_config, resolve_config
from espnet2.utils.errors import UserError

METHODS = ("dinosr", "data2vec2")


def told(name: str, max_update: int | None = 1000, **conf):
    """The objective with these keys, told how long the run is."""
    model = tiny_model(name, conf=conf)
    if max_update is not None:
        model.set_max_update(max_update)
    return model.objectives[name]


@pytest.mark.parametrize("name", METHODS)
def test_numbers_mean_what_they_meant(name):
    objective = told(name, decay_start=0.99, decay_end=0.999, decay_steps=500)
    for update in (1, 250, 500, 900):
        assert objective.teacher_decay(update) == linear_decay(update, start=0.99, end=0.999, num_updates=500)
    assert told(name, None, decay_steps=500).teacher_decay(500) == told(name, 77, decay_steps=500).teacher_decay(500)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("max_update", [1000, 4000])
def test_shares_follow_the_length_of_the_run(name, max_update):
    objective = told(name, max_update, decay_start="10%", decay_end="100%", decay_steps="50%")
    half = max_update // 2
    assert objective.teacher_decay(half) == pytest.approx(1 - 1 / max_update)
    start, end = 1 - 10 / max_update, 1 - 1 / max_update
    assert objective.teacher_decay(half // 2) == pytest.approx((start + end) / 2)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("share", [0.3, "30%"])
def test_a_fixed_teacher_stays_bit_for_bit_and_its_schedule_begins_behind(name, share):
    model = tiny_model(name, conf={"teacher_fixed": share, "decay_start": 0.5, "decay_end": 0.9, "decay_steps": 4})
    model.set_max_update(10)
    objective = model.objectives[name]
    assert [objective.teacher_decay(update) for update in (1, 3)] == [1.0, 1.0]
    assert objective.teacher_decay(4) == pytest.approx(0.6)
    before = {key: value.clone() for key, value in objective.teacher.state_dict().items()}
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.add_(1.0)
    objective.after_step(3)
    assert all(torch.equal(value, before[key]) for key, value in objective.teacher.state_dict().items())
    objective.after_step(4)
    assert any(not torch.equal(value, before[key]) for key, value in objective.teacher.state_dict().items())


def test_dinosr_freezes_its_teacher_and_its_codes_remember_by_shares():
    objective = told(
        "dinosr", 200, freeze_teacher_step="50%", code_decay="5%", decay_schedule="exponential", decay_steps="10%"
    )
    assert objective.codebooks.decay == pytest.approx(0.9)
    assert (
        objective.teacher_decay(99) == exponential_decay(99, start=0.999, num_updates=20)
        and objective.teacher_decay(100) == 1.0
    )
    assert list(objective.frozen_parameters(99)) == [] and list(objective.frozen_parameters(100)) != []
    assert told("dinosr", None).codebooks.decay == 0.9
    assert math.isnan(told("dinosr", None, code_decay="5%").codebooks.decay), "codes that nobody told would not move"


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"decay_steps": "0%"}, "'decay_steps' is '0%': expected a share of the run above 0% and up to 100%"),
        ({"decay_steps": "120%"}, "up to 100%, such as 10%"),
        ({"decay_steps": "ten%"}, "up to 100%, such as 10%"),
        ({"decay_steps": "-5%"}, "up to 100%, such as 10%"),
        ({"decay_steps": 0}, "expected a whole number of updates above 0, or a share of the run such as 10%"),
        ({"decay_steps": 0.5}, "expected a whole number of updates above 0"),
        ({"decay_steps": "ten"}, "expected a whole number of updates above 0"),
        ({"decay_steps": True}, "expected a whole number of updates above 0"),
        ({"decay_start": 1.5}, "expected a number from 0 to 1, or the share of the run that is remembered, such as 1%"),
        ({"decay_end": "all"}, "expected a number from 0 to 1"),
        ({"teacher_fixed": 1.5}, "expected a share of the run from 0 to 1, such as 0.3 or 30%"),
        ({"teacher_fixed": "130%"}, "up to 100%"),
        ({"teacher_fixed": [0.3]}, "expected a share of the run from 0 to 1"),
    ],
)
@pytest.mark.parametrize("name", METHODS)
def test_bad_values_are_one_message(name, conf, message):
    with pytest.raises(UserError) as raised:
        tiny_config(name, conf=conf)
    assert message in str(raised.value) and len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("name", METHODS)
def test_a_memory_below_one_update_is_refused_before_the_first(name):
    with pytest.raises(UserError, match=r"decay_start: 0.1% of 500 updates is 0.5 updates"):
        told(name, 500, decay_start="0.1%")
    with pytest.raises(UserError, match=r"decay_steps: 10% of a run whose length is not known"):
        told(name, None, decay_steps="10%").teacher_decay(1)


def test_codes_of_dinosr_cannot_be_kept_for_ever():
    with pytest.raises(UserError, match="code_decay"):
        tiny_config("dinosr", conf={"code_decay": 1.0})


def test_shares_are_written_as_they_were_read(tmp_path):
    config = resolve_config(
        {"loss": [{"name": "dinosr", "conf": {"decay_steps": "30 %", "teacher_fixed": "25%", "num_codebooks": 2}}]}
    )
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config))
    assert load_config(path) == config
    assert (config.loss[0].conf.decay_steps, config.loss[0].conf.teacher_fixed) == ("30%", 0.25)
    assert load_config(path, ["--loss", "dinosr.conf.decay_steps=5%"]).loss[0].conf.decay_steps == "5%"
