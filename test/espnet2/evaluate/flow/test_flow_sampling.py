"""Filling hidden spans: spans, noise, guidance and figures in closed form; a vocoder that can be heard; the program."""

import json
import math

import numpy as np
import pytest
import soundfile
import torch
from tiny_model import tiny_model
from tiny_training import make_set
from tiny_units import run_program, write_experiment

from espnet2.data.geometry import FrameGeometry
from espnet2.evaluate.flow.figure import draw_filled
from espnet2.evaluate.flow.sampling import Filled, FlowSampler, Span, SpanFigures, choose_span, interpolated
from espnet2.evaluate.flow.vocoder import GriffinLimVocoder
from espnet2.ssl.modules.mel import LogMel, MelSettings
from espnet2.utils.errors import UserError

GEOMETRY = FrameGeometry(((640, 160),))
HANN = MelSettings(window="hann", window_seconds=0.04, fft_size=1024)
CORPUS = {"frontend": "fbank", "frontend_conf": {"mel_norm": "corpus"}}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def sampler(**options):
    return FlowSampler(tiny_model("speechflow", **CORPUS), "exp/tiny", num_steps=2, **options)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_given_span():
    assert choose_span("u", 16000, GEOMETRY, start_seconds=0.2, seconds=0.3, seed=0) == Span(20, 50)
    assert choose_span("u", 16000, GEOMETRY, start_seconds=0.0, seconds=0.97, seed=0) == Span(0, 97)


def test_a_drawn_span_lies_inside_and_depends_on_seed_and_name_alone():
    def draw(name, seed):
        return choose_span(name, 32000, GEOMETRY, start_seconds=None, seconds=0.3, seed=seed)

    spans = [draw(f"u{number}", 0) for number in range(200)]
    assert all(span.stop - span.first == 30 and span.first >= 30 and span.stop <= 197 - 30 for span in spans)
    assert min(span.first for span in spans) < 35 and max(span.stop for span in spans) > 162
    assert draw("u1", 0) == draw("u1", 0) and len({draw("u1", seed) for seed in range(9)}) > 3
    assert choose_span("u", 16000, GEOMETRY, start_seconds=None, seconds=0.97, seed=0) == Span(0, 97)


@pytest.mark.parametrize(
    ("start", "seconds", "says"),
    [
        (0.8, 0.3, r"utterance u has 0.97 s of mel frames; the span 0.8 s to 1.1 s ends beyond"),
        (-0.1, 0.3, "ends beyond them"),
        (None, 1.5, "choose a shorter --span_seconds"),
        (0.1, 0.001, "shorter than one frame"),
    ],
)
def test_spans_beyond_the_audio_are_refused(start, seconds, says):
    with pytest.raises(UserError, match=says):
        choose_span("u", 16000, GEOMETRY, start_seconds=start, seconds=seconds, seed=0)


def test_the_exact_velocity_gives_the_data_back():
    flow = sampler()
    data, start = noise(3, 30, 20, seed=1), noise(3, 30, 20)
    flow.objective.velocity = lambda x, shown, times, lengths: data - (1 - 1e-5) * start
    torch.testing.assert_close(flow.sample(torch.zeros_like(data), start), data + 1e-5 * start, atol=1e-6, rtol=0)


def test_guidance_leads_away_from_the_unconditional():
    def velocity(x, shown, times, lengths):
        return torch.full_like(x, 1.0 if shown.any() else 0.25)

    for guidance in (0.0, 0.5, 2.0):
        flow = sampler(guidance=guidance)
        flow.objective.velocity = velocity
        end = flow.sample(torch.ones(1, 5, 20), torch.zeros(1, 5, 20))
        torch.testing.assert_close(end, torch.full_like(end, (1 + guidance) * 1.0 - guidance * 0.25))


def test_only_the_span_is_filled_and_in_units_of_the_log_mel():
    flow = sampler()
    flow.frontend.mel_mean.fill_(-5.0)
    flow.frontend.mel_std.fill_(2.0)
    wav = 0.1 * noise(16000)
    filled = flow.fill("u", wav, Span(20, 50), num_seeds=3, seed=0)
    torch.testing.assert_close(filled.mel, flow.frontend.mel(wav[None])[0], atol=1e-5, rtol=1e-5)
    assert filled.samples.shape == (3, 97, 20) and filled.deviation == 2.0
    outside = torch.ones(97, dtype=torch.bool)
    outside[20:50] = False
    assert torch.equal(filled.samples[:, outside], filled.mel[outside].expand(3, -1, -1))
    assert (filled.samples[:, 20:50] != filled.mel[20:50]).all()


def test_the_model_does_not_see_the_span():
    flow = sampler()
    flow.frontend.mel_mean.fill_(-5.0)
    flow.frontend.mel_std.fill_(2.0)
    wav = 0.1 * noise(16000)
    other = wav.clone()
    other[24 * 160 : 46 * 160] = 0.5  # heard by frames 20 to 46 alone
    first, second = (flow.fill("u", samples, Span(20, 50), num_seeds=1, seed=0).samples for samples in (wav, other))
    assert torch.equal(first, second)


def test_noise_belongs_to_utterance_and_seed():
    flow, wav = sampler(), 0.1 * noise(8000)

    def fill(name="u", num_seeds=2, seed=0):
        return flow.fill(name, wav, Span(10, 30), num_seeds=num_seeds, seed=seed).samples[:, 10:30]

    few, many = fill(), fill(num_seeds=4)
    torch.testing.assert_close(few, many[:2], atol=1e-5, rtol=1e-5)
    assert torch.equal(few, fill()) and not torch.equal(few, fill(seed=1)) and not torch.equal(few, fill(name="v"))
    assert not torch.equal(few[0], few[1])


def test_figures_of_a_span():
    mel = torch.zeros(10, 4)
    mel[4:6] = torch.tensor([[1.0, 1, 3, 3], [1, 1, 3, 3]])
    samples = mel.expand(2, -1, -1).clone()
    samples[0, 4:6], samples[1, 4:6] = mel[4:6] + 1, mel[4:6] - 1
    figures = Filled("u", mel, samples, Span(4, 6), 2.0, 8.0).statistics()
    assert figures == SpanFigures(
        data_mean=2.0,
        sample_mean=2.0,
        data_std=1.0,
        sample_std=1.0,
        error_db=8.0,
        mean_error_db=0.0,
        line_error_db=pytest.approx(8.0 * math.sqrt(5)),
        spread=0.5,
    )
    other = SpanFigures(*(value + 1 for value in range(8)))
    assert SpanFigures.mean([other, SpanFigures(*(value + 2 for value in range(8)))]).line_error_db == 7.5


def test_straight_line():
    mel = torch.arange(6.0)[:, None].expand(6, 2).clone()
    torch.testing.assert_close(interpolated(mel, Span(2, 4)), mel[2:4])
    assert torch.equal(interpolated(mel, Span(0, 2)), mel[[2, 2]])
    assert torch.equal(interpolated(mel, Span(4, 6)), mel[[3, 3]])


def test_other_models_are_refused():
    with pytest.raises(UserError, match="exp/a: trained with hubert; sampling needs a speechflow loss"):
        FlowSampler(tiny_model("hubert"), "exp/a")
    with pytest.raises(UserError, match="needs mel_norm: corpus"):
        FlowSampler(tiny_model("speechflow"), "exp/a")


def test_the_vocoder_keeps_pitch_time_and_level():
    time = torch.arange(16000) / 16000
    wav = 0.3 * torch.sin(2 * math.pi * 440 * time) * (time < 0.5)
    mel = LogMel(HANN)
    heard = GriffinLimVocoder(mel, 32)(mel(wav[None])[0])
    assert heard.shape == (HANN.geometry.num_samples(97),)
    spectrum = torch.fft.rfft(heard[2000:6000]).abs()
    assert spectrum.argmax().item() * 4 == pytest.approx(440, abs=16)
    loudness = heard.square().unfold(0, 400, 400).mean(-1).sqrt()
    assert loudness[4:16].mean().item() == pytest.approx(0.3 / math.sqrt(2), rel=0.1)
    end = int((loudness > 0.05).nonzero().max()) * 400
    assert abs(end - 8000) <= 800
    assert torch.equal(heard, GriffinLimVocoder(mel, 32)(mel(wav[None])[0]))  # whatever torch's own generator says


def test_the_vocoder_knows_its_mel():
    with pytest.raises(UserError, match="window is kaldi"):
        GriffinLimVocoder(LogMel(MelSettings()))


def test_the_figure_is_a_picture(tmp_path):
    mel = LogMel(HANN)
    log_mel = mel(0.1 * noise(1, 16000))[0]
    filled = Filled("u", log_mel, log_mel.expand(2, -1, -1), Span(20, 50), 1.0, 8.7)
    assert draw_filled(filled, mel, "title").startswith(b"\x89PNG")


@pytest.fixture
def folder(tmp_path):
    make_set(tmp_path, "dev", num_utterances=3)
    write_experiment(tmp_path / "exp", "speechflow", **CORPUS)
    return tmp_path


def program(folder, output, *words):
    places = ["--model", folder / "exp", "--dump_set", folder / "dump/dev", "--output_dir", output]
    quick = ["--num_steps", 1, "--num_seeds", 2, "--griffin_lim_iterations", 2]
    run_program("ssl_sample_flow", *places, *quick, *words)


def test_program(folder, capsys):
    out, again = folder / "out", folder / "again"
    program(folder, out, "--utterances", "dev-002", "dev-000", "--span_seconds", 0.1)
    printed = capsys.readouterr()
    assert "dev-002" in printed.out and "2/2 dev-000" in printed.err
    assert "not judged, 0.2 s hidden in all are few" in printed.out
    kinds = ["masked.wav", "original.wav", "png", "seed0.wav", "seed1.wav", "vocoder.wav"]
    names = [f"{utt}.{kind}" for utt in ("dev-000", "dev-002") for kind in kinds]
    assert sorted(path.name for path in out.iterdir()) == sorted([*names, "samples.json"])
    real, _ = soundfile.read(out / "dev-000.original.wav")
    filled, rate = soundfile.read(out / "dev-000.seed0.wav")
    assert rate == 16000 and 0 <= len(real) - len(filled) < 160 and np.abs(filled).max() > 0
    report = json.loads((out / "samples.json").read_text())
    assert report["utterances"]["dev-000"]["span_seconds"] == 0.1 and set(report) == {"mean", "options", "utterances"}
    program(folder, again, "--utterances", "dev-000", "--span_seconds", 0.1)  # the same in other company
    for kind in kinds:
        assert (again / f"dev-000.{kind}").read_bytes() == (out / f"dev-000.{kind}").read_bytes(), kind


def test_program_draws_utterances(folder, capsys):
    program(folder, folder / "out", "--num_utterances", 2, "--span_seconds", 0.1, "--no_audio")
    assert len(list((folder / "out").glob("*.png"))) == 2 and not list((folder / "out").glob("*.wav"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--utterances", "nobody"], "no utterance nobody; its first is dev-000"),
        (["--span_seconds", "30"], "choose a shorter --span_seconds"),
        (["--span_start", "9"], "ends beyond them"),
        (["--num_steps", "0"], "--num_steps is 0; expected at least 1"),
        (["--guidance", "-1"], "expected none below 0"),
        (["--device", "cuda:99"], "--device cuda:99"),
    ],
)
def test_program_refuses_before_it_writes(folder, words, says):
    with pytest.raises(UserError, match=says):
        program(folder, folder / "out", *words)
    assert not (folder / "out").exists()
