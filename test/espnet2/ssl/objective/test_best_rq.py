"""BEST-RQ: labels, alignment, masks, noise, loss, gradients, and the watch over the codes in use."""

import json

import pytest
import torch
from tiny_model import mean_loss, noise_batch, tiny_model
from tiny_training import make_corpus
from torch.nn import functional as F

from espnet2.launch.signals import StopSignals
from espnet2.pretrain.inputs import check_lengths, open_inputs
from espnet2.pretrain.session import train
from espnet2.ssl.modules.mel import MelSettings
from espnet2.ssl.modules.mel_statistics import MelStatistics
from espnet2.ssl.objective.best_rq import BestRqConfig
from espnet2.tasks.build import build, count_parameters
from espnet2.tasks.config import load_config, resolve_config
from espnet2.train.distributed import SINGLE
from espnet2.units.mel_gather import gather_statistics
from espnet2.utils.errors import UserError

CONV2D = {"subsample": "conv2d", "conv2d_channels": 4}
SUBSAMPLERS = [{"stack_frames": 1}, {"stack_frames": 2}, {"stack_frames": 4}, CONV2D]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def make(frontend_conf=None, **conf):
    """A tiny model whose spans are long enough for every subsampler."""
    return tiny_model("best_rq", frontend_conf=frontend_conf, conf={"mask_span": 12, **conf})


def speech_like(seconds: float, *, seed: int = 0) -> torch.Tensor:
    """(1, samples) noise of another colour and loudness every 100 ms."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for _ in range(round(seconds * 10)):
        noise = torch.randn(1, 1, 1600, generator=generator)
        colour = torch.randn(1, 1, 9, generator=generator) * 10 ** (-2 * torch.rand(1, generator=generator))
        parts.append(F.conv1d(noise, colour, padding=4)[0])
    return 0.1 * torch.cat(parts, dim=1)


def test_nothing_of_the_quantizer_is_trained_and_all_of_it_is_saved():
    model = make()
    names = {"quantizer.projections", "quantizer.codes"}
    objective = model.first
    assert {name for name in objective.state_dict() if name.startswith("quantizer")} == names
    assert not [name for name, _ in objective.named_parameters() if name.startswith("quantizer")]
    before = {name: objective.state_dict()[name].clone() for name in names}
    optimizer = torch.optim.AdamW(model.parameters(), 0.1, weight_decay=0.5)
    mean_loss(model, noise_batch(model)).backward()
    optimizer.step()
    model.after_step(1)
    assert all(torch.equal(objective.state_dict()[name], before[name]) for name in names)


@pytest.mark.parametrize("label_frames", [None, 1, 7])
@pytest.mark.parametrize("frontend_conf", SUBSAMPLERS)
def test_label_j_is_that_of_the_mel_frames_at_frame_j(frontend_conf, label_frames):
    if label_frames == 7 and frontend_conf is not CONV2D:
        with pytest.raises(UserError, match="an encoder frame sees"):
            make(frontend_conf, label_frames=7)
        return
    objective = make(frontend_conf, label_frames=label_frames, num_codes=512).first
    windows = objective.frontend.subsample_geometry
    hop, width = windows.hop_samples, label_frames or windows.hop_samples
    mel = torch.randn(1, 41, 20)
    labels = objective.label(mel)
    assert labels.size(1) == windows.output_lengths(41)
    for changed in range(41):
        other = mel.clone()
        other[:, changed] = 30 * torch.randn(20)
        moved = (objective.label(other) != labels)[0, :, 0].nonzero().flatten().tolist()
        assert moved == [j for j in range(labels.size(1)) if j * hop <= changed < j * hop + width]


@pytest.mark.parametrize("frontend_conf", SUBSAMPLERS)
def test_as_many_labels_as_encoder_frames_for_every_length(frontend_conf):
    model = make(frontend_conf)
    for samples in range(16000, 16000 + 700, 80):
        batch = noise_batch(model, (samples, 15000))
        (loss,) = model(batch).values()
        frames = model.frontend(batch.wavs, None).projected.size(1)
        mel = model.frontend.analyse(batch.wavs, None)[0]
        assert model.first.label(mel).size(1) == frames == model.frontend.geometry.output_lengths(samples)
        assert loss.terms[0].count == model.first.counts(batch)["masked"] > 0


@pytest.mark.parametrize("frontend_conf", SUBSAMPLERS)
def test_loss_is_the_cross_entropy_where_all_mel_frames_are_masked(frontend_conf):
    model = make(frontend_conf, num_codebooks=2).eval()
    batch = noise_batch(model, (16000, 12000))
    objective, frontend = model.first, model.frontend
    mel, lengths = frontend.analyse(batch.wavs, batch.wav_lengths)
    draws = batch.draws["best_rq"]
    windows = frontend.subsample_geometry
    hidden = mel.clone()
    hidden[draws["mask"]] = draws["noise"][draws["mask"]]
    features, lengths = frontend.subsample(hidden, lengths)
    logits = objective.head(model.encoder(frontend.project(features), lengths).last)
    labels = objective.label(mel)
    total, count, correct = 0.0, 0, 0.0
    for row in range(2):
        for frame in range(logits.size(1)):
            first = frame * windows.hop_samples
            if draws["mask"][row, first : first + windows.receptive_field_samples].all():
                scores = logits[row, frame].view(2, 11)
                total += F.cross_entropy(scores, labels[row, frame]).item()  # the mean over the codebooks
                correct += (scores.argmax(-1) == labels[row, frame]).float().mean().item()
                count += 1
    loss = model(batch)["best_rq"]
    assert loss.terms[0].count == count
    assert loss.terms[0].total.item() == pytest.approx(total, rel=1e-5)
    assert loss.stats["masked_accuracy"].total.item() == pytest.approx(correct, rel=1e-5)


def test_labels_see_the_clean_frames_and_the_encoder_never_the_hidden_ones():
    model = make(CONV2D).eval()
    batch = noise_batch(model)
    subsample, label, seen = model.frontend.subsample, model.first.label, {}
    model.frontend.subsample = lambda frames, lengths: subsample(seen.setdefault("hidden", frames), lengths)
    model.first.label = lambda frames: label(seen.setdefault("clean", frames.clone()))
    model(batch)
    mask, noise = batch.draws["best_rq"]["mask"], batch.draws["best_rq"]["noise"]
    assert torch.equal(seen["clean"], model.frontend.analyse(batch.wavs, None)[0])
    assert torch.equal(seen["hidden"][mask], noise[mask]) and mask.any() and not mask.all()
    assert torch.equal(seen["hidden"][~mask], seen["clean"][~mask])


def test_noise_has_the_deviation_of_the_config():
    draw = tiny_model("best_rq", conf={"noise_std": 0.1, "num_codes": 4}).first.draw
    noise = draw(torch.tensor([160000] * 4), ["a"] * 4, torch.Generator().manual_seed(0))["noise"]
    assert noise.shape == (4, 998, 20)
    assert abs(noise.std() - 0.1) < 1e-3 and abs(noise.mean()) < 1e-3


def test_gradients_reach_all_but_the_labels():
    model = make(CONV2D)
    mean_loss(model, noise_batch(model)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert not any(buffer.requires_grad for buffer in model.buffers())


@pytest.mark.parametrize("encoder", ["transformer", "conformer", "e_branchformer"])
def test_runs_with_every_encoder_and_padding_changes_nothing(encoder):
    encoder_conf = {"num_layers": 1, "dim": 16, "num_heads": 2, "ffn_dim": 32, "dropout": 0.0}
    if encoder == "transformer":
        encoder_conf |= {"position_kernel": 8, "position_groups": 4}
    loss = [{"name": "best_rq", "conf": {"num_codes": 11, "mask_span": 12}}]
    frontend_conf = {"num_mels": 20, **CONV2D}
    torch.manual_seed(0)
    model = build(
        resolve_config(
            {
                "frontend": "fbank",
                "frontend_conf": frontend_conf,
                "encoder": encoder,
                "encoder_conf": encoder_conf,
                "loss": loss,
            }
        )
    ).eval()
    batch = noise_batch(model, (16000, 11000))
    wavs = torch.randn(2, 20000)
    wavs[torch.arange(20000) < batch.wav_lengths[:, None]] = batch.wavs[
        torch.arange(16000) < batch.wav_lengths[:, None]
    ]
    padded = type(batch)(wavs, batch.wav_lengths, None, batch.utt_ids, batch.draws)
    ours, theirs = model(batch)["best_rq"], model(padded)["best_rq"]
    torch.testing.assert_close(ours.terms[0].total, theirs.terms[0].total, rtol=1e-5, atol=1e-5)
    for name, ratio in ours.stats.items():
        torch.testing.assert_close(ratio, theirs.stats[name], rtol=1e-5, atol=1e-5)


def test_figures_of_the_labels():
    model = make({"stack_frames": 2}, num_codebooks=2).eval()
    batch = noise_batch(model, (16000, 9000))
    mel, lengths = model.frontend.analyse(batch.wavs, batch.wav_lengths)
    valid = torch.arange(49) < (lengths // 2)[:, None]
    labels = model.first.label(mel)[valid]  # (frames, codebooks)
    entropies = []
    for codebook in labels.T:
        shares = torch.bincount(codebook, minlength=11) / len(codebook)
        entropies.append(torch.distributions.Categorical(shares).entropy())
    expected = {
        "unique_codes": sum(len(codebook.unique()) for codebook in labels.T) / 2,
        "label_entropy": sum(entropies).item() / 2,
        "label_perplexity": sum(entropy.exp() for entropy in entropies).item() / 2,
        "label_frames": len(labels),
    }
    stats = model(batch)["best_rq"].stats
    for name, value in expected.items():
        assert stats[name].total.item() == pytest.approx(value, rel=1e-4) and stats[name].count == 1, name


def watched(model, wavs) -> list[str]:
    """The warnings after a log interval of this audio."""
    draws = {"best_rq": model.first.draw(torch.tensor([wavs.size(1)]), ["a"], torch.Generator().manual_seed(0))}
    batch = noise_batch(model, (wavs.size(1),))
    loss = model(type(batch)(wavs, batch.wav_lengths, None, batch.utt_ids, draws))["best_rq"]
    return model.first.warnings({name: float(r.total / r.count) for name, r in loss.stats.items()}, 1)


@pytest.mark.parametrize("num_codes", [64, 1024])
def test_the_watch_tells_unnormalised_input_from_a_healthy_run(num_codes):
    wavs = speech_like(8.0)
    conf = {"num_codes": num_codes, "code_dim": 16}
    model = make({"mel_norm": "corpus", "num_mels": 80}, **conf)  # statistics 0 and 1: not normalised
    (text,) = watched(model, wavs)
    assert "label_perplexity is" in text and "healthy: above" in text and "mel_norm" in text
    model.frontend.set_statistics(MelStatistics.of(model.frontend.mel(speech_like(20.0, seed=1))[0]))
    assert watched(model, wavs) == []
    assert watched(make({"num_mels": 80}, **conf), wavs) == []


@pytest.mark.parametrize("spoilt", [True, False])
def test_a_training_on_wrong_statistics_warns_and_a_healthy_one_does_not(tmp_path, spoilt):
    loss = [{"name": "best_rq", "conf": {"num_codes": 256, "mask_span": 6, "mask_start_prob": 0.05}}]
    frontend_conf = {"mel_norm": "corpus"}
    paths = make_corpus(tmp_path, num_train=6, num_valid=2, max_update=4, loss=loss, frontend_conf=frontend_conf)
    path = gather_statistics(paths.train_sets[0], MelSettings(), max_hours=1.0, num_workers=0)
    if spoilt:
        value = json.loads(path.read_text())
        value["statistics"]["mean"] = [0.0] * 80
        path.write_text(json.dumps(value))
    config = load_config(tmp_path / "conf.yaml")
    assert train(config, paths, tmp_path / "exp", SINGLE, StopSignals())
    log = (tmp_path / "exp/train.log").read_text()
    assert ("label_perplexity is" in log) == spoilt


@pytest.mark.parametrize(
    ("frontend", "frontend_conf", "conf", "message"),
    [
        ("conv", {}, {}, "this frontend learns its own; set frontend: fbank"),
        ("fbank", {"mel_norm": "none"}, {}, "most codes stay unused; set frontend_conf: mel_norm"),
        ("fbank", {"stack_frames": 2}, {"label_frames": 3}, "label_frames is 3, but an encoder frame sees 2 mel"),
        ("fbank", CONV2D, {"mask_span": 9}, "mask_span is 9 .* a span needs 10"),
        ("fbank", {"project": False}, {}, "best_rq.* needs the frontend's projection"),
    ],
)
def test_what_cannot_work_is_refused_when_the_model_is_built(frontend, frontend_conf, conf, message):
    config = resolve_config(
        {
            "frontend": frontend,
            "frontend_conf": frontend_conf,
            "encoder_conf": {"num_layers": 1, "dim": 32, "num_heads": 2},
            "loss": [{"name": "best_rq", "conf": {"num_codes": 4, **conf}}],
        }
    )
    with pytest.raises(UserError, match=message):
        build(config)


def test_unnormalised_frames_are_fine_if_the_labels_are_normalised():
    model = make({"mel_norm": "none"}, label_norm=True)
    assert mean_loss(model, noise_batch(model)).isfinite()


def test_an_utterance_shorter_than_a_span_is_refused_before_training(tmp_path):
    paths = make_corpus(tmp_path, num_train=3, num_valid=1)
    draw = tiny_model("best_rq", conf={"mask_span": 400}).first.draw
    assert draw.min_samples() == 400 * 160 + 400
    config = resolve_config({"frontend": "fbank", "loss": [{"name": "best_rq"}]})
    with pytest.raises(UserError, match="3 utterances are shorter than the objective needs"):
        check_lengths(open_inputs(config, paths).train, draw.min_samples(), ignore_below=0)


@pytest.mark.parametrize(("size", "millions"), [("mini", 1.489), ("base", 83.2), ("large", 618.9)])
def test_configs_build_at_their_size(root, size, millions):
    config = load_config(root / f"egs2/TEMPLATE/ssl1/conf/train_best_rq_{size}.yaml")
    with torch.device("meta"):
        model = build(config)
    assert count_parameters(model) / 1e6 == pytest.approx(millions, rel=1e-3)
    assert model.frontend.geometry.frame_rate == (50.0 if size == "mini" else 25.0)
    if size != "mini":
        assert model.first.config == BestRqConfig()  # the paper's
