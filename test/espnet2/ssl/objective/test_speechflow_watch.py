"""SpeechFlow's collapse watch, in figures and in a provoked collapse; what is refused; the committed configs."""

import pytest
import torch
from repository import ROOT
from tiny_model import noise_batch, tiny_model

from espnet2.tasks.build import build, count_parameters
from espnet2.tasks.config import load_config, resolve_config
from espnet2.utils.errors import UserError

CONF = ROOT / "egs2/TEMPLATE/ssl1/conf"


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def flow_model(**options):
    return tiny_model("speechflow", **options)


HEALTHY = {"loss_flow": 0.7, "hidden_error": 0.75, "visible_error": 0.5, "mel_power": 1.0} | {
    f"error_decile_{number}": value for number, value in enumerate([0.8, 0.7, 0.6, 0.5, 0.5, 0.6, 0.7, 0.9, 1.1, 1.2])
}


@pytest.mark.parametrize(
    ("figures", "says"),
    [
        ({"mel_power": 4.0}, "mel_power is 4.00; healthy is 1"),
        ({name: 2.0 for name in HEALTHY if name != "mel_power"}, "loss_flow is 2.00"),
        ({"visible_error": 0.74}, "visible_error is 0.74 and hidden_error 0.75"),
        ({f"error_decile_{number}": 0.75 for number in range(10)}, "lie within 0.75 and 0.75"),
    ],
)
def test_watch_names_the_figure(figures, says):
    watch = flow_model(conf={"watch_after": 100}).first.warnings
    assert watch(HEALTHY, 101) == [] and watch({}, 101) == []
    assert len(warnings := watch(HEALTHY | figures, 101)) == 1 and says in warnings[0]
    assert len(watch(HEALTHY | figures, 100)) == ("mel_power" in figures)  # the others only after the warm-up


def trained_figures(model, *, updates):
    """The figures of the second half of a short training on frames that are loud or quiet at random."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    generator = torch.Generator().manual_seed(0)
    num_samples = model.frontend.geometry.num_samples(40)
    totals = {}
    for update in range(updates):
        mel = torch.randn(8, 40, 1, generator=generator).expand(8, 40, 20)
        model.frontend.analyse = lambda wavs, lengths, mel=mel: (mel, lengths)
        batch = noise_batch(model, (num_samples,) * 8, seed=update)
        batch.draws["speechflow"]["time"].mul_(0.3)  # early, where a living condition path shows most
        loss = model(batch)["speechflow"]
        optimizer.zero_grad()
        (loss.terms[0].total / loss.terms[0].count).backward()
        optimizer.step()
        if update >= updates // 2:
            for name, ratio in (*loss.stats.items(), ("loss_flow", loss.terms[0])):
                total, count = totals.get(name, (0.0, 0.0))
                totals[name] = (total + float(ratio.total.detach()), count + float(ratio.count))
    return {name: total / max(count, 1) for name, (total, count) in totals.items()}


@pytest.mark.parametrize("collapsed", [False, True])
def test_watch_fires_when_the_condition_is_dead(collapsed):
    model = flow_model(conf={"watch_after": 0})
    if collapsed:
        model.first.input_projection.register_forward_pre_hook(
            lambda module, inputs: torch.cat([inputs[0][..., :20], 0 * inputs[0][..., 20:]], dim=-1)
        )
    warnings = model.first.warnings(trained_figures(model, updates=60), 60)
    assert [text for text in warnings if "visible_error" in text] if collapsed else warnings == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"frontend": "conv", "frontend_conf": {"project": False}}, "the frontend learns its frames"),
        ({"frontend_conf": {"project": False, "mel_norm": "none"}}, "are not normalised"),
        ({"frontend_conf": {"project": False}}, "subsamples the mel frames"),
        ({"loss": [{"name": "speechflow", "conf": {"hidden_share": [0.9, 0.7]}}]}, "expected 0 <= low <= high"),
    ],
)
def test_what_cannot_work_is_refused(options, says):
    with pytest.raises(UserError, match=says):
        config = resolve_config({"frontend": "fbank", "loss": [{"name": "speechflow"}]} | options)
        with torch.device("meta"):
            build(config)


@pytest.mark.parametrize(
    ("name", "millions"),
    [("mini", 1.46), ("base", 93.5), ("large", 329.8)],  # the paper has "about 330 M" for the large one
)
def test_configs_build(name, millions):
    config = load_config(CONF / f"train_speechflow_{name}.yaml")
    with torch.device("meta"):
        model = build(config)
    assert count_parameters(model) / 1e6 == pytest.approx(millions, abs=0.1)
    assert model.frontend.geometry.frame_rate == 100 and model.first.num_mels == 80
    assert len(model.encoder.skips) == model.encoder.num_layers // 2
