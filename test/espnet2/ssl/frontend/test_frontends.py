"""Frontends: frame arithmetic, Kaldi's mel values, padding, gradient scaling."""

import pytest
import torch
from torch.nn import functional as F
from torchaudio.compliance import kaldi
from torchaudio.transforms import MelSpectrogram

from espnet2.data.geometry import FrameGeometry
from espnet2.ssl.frontend import frontend_class, frontend_names
from espnet2.ssl.frontend.conv import ConvFrontend
from espnet2.ssl.frontend.fbank import FbankFrontend
from espnet2.ssl.modules.mel import LogMel, MelSettings
from espnet2.ssl.modules.mel_statistics import MelStatistics
from espnet2.utils.errors import UserError

SMALL = {"fbank": {"num_mels": 20}, "conv": {"channels": 12}}
LENGTHS = [(400, 1), (719, 1), (720, 2), (16000, 49), (32000, 99), (160000, 499), (250000, 781), (320000, 999)]


def make(name: str, **conf):
    torch.manual_seed(0)
    cls = frontend_class(name)
    return cls(cls.Config(**(SMALL[name] | conf)), 8).eval()


def test_names_come_from_the_files():
    assert frontend_names() == ["conv", "fbank"]
    with pytest.raises(UserError, match=r"frontend: unknown frontend 'fbnk'; did you mean 'fbank'\? known are conv, f"):
        frontend_class("fbnk")


@pytest.mark.parametrize(("samples", "frames"), LENGTHS)
def test_conv_geometry_of_the_paper(samples, frames):
    geometry = make("conv").geometry
    assert (geometry.hop_samples, geometry.receptive_field_samples, geometry.frame_rate) == (320, 400, 50.0)
    assert geometry.output_lengths(samples) == frames
    assert geometry.output_lengths(torch.tensor([samples, 399])).tolist() == [frames, 0]
    assert geometry.output_lengths(geometry.num_samples(frames)) == frames


def test_fbank_geometry():
    geometry = make("fbank").geometry
    assert geometry.layers == ((400, 160), (2, 2))
    assert (geometry.hop_samples, geometry.receptive_field_samples, geometry.frame_rate) == (320, 560, 50.0)
    assert make("fbank", stack_frames=1).geometry == FrameGeometry(((400, 160),))
    assert make("fbank", stack_frames=4).geometry.frame_rate == 25.0


@pytest.mark.parametrize("name", frontend_names())
@pytest.mark.parametrize("samples", [16000, 15999, 719, 720, 879, 880])
def test_frames_that_come_out_are_those_announced(name, samples):
    frontend = make(name)
    frames = frontend(torch.randn(1, samples), torch.tensor([samples]))
    expected = frontend.geometry.output_lengths(samples)
    assert frames.projected.shape == (1, expected, 8)
    assert frames.features.shape[:2] == (1, expected)
    assert frames.lengths.tolist() == [expected]
    assert frontend(torch.randn(1, samples), None).lengths is None


@pytest.mark.parametrize(
    ("name", "conf"),
    [
        ("conv", {"norm": "group"}),
        ("conv", {"norm": "layer", "bias": True}),
        ("fbank", {}),
        ("fbank", {"layer_norm": True}),
        ("fbank", {"mel_norm": "corpus", "stack_frames": 4}),
        ("fbank", {"sample_scale": "int16", "mel_variance": "sample", "mel_norm_eps": 1e-7}),
        ("fbank", {"mel_norm": "none", "window": "hann", "window_seconds": 0.04}),
        ("fbank", {"subsample": "conv2d", "conv2d_channels": 4}),
    ],
)
def test_padding_never_changes_valid_frames(name, conf):
    frontend = make(name, **conf)
    wavs, lengths = torch.randn(3, 16000), torch.tensor([16000, 9000, 5000])
    batch = frontend(wavs, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = frontend(wavs[row : row + 1, :length], None)
        frames = alone.projected.size(1)
        assert int(batch.lengths[row]) == frames
        torch.testing.assert_close(batch.projected[row, :frames], alone.projected[0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(batch.features[row, :frames], alone.features[0], atol=1e-5, rtol=1e-4)


CONV2D = {"subsample": "conv2d", "conv2d_channels": 4}


def test_default_state_is_that_of_earlier_checkpoints():
    assert list(make("fbank").state_dict()) == ["projection.weight", "projection.bias"]
    names = [f"blocks.{number}.conv.weight" for number in range(7)]
    names[1:1] = ["blocks.0.norm.weight", "blocks.0.norm.bias"]
    tail = ["norm.weight", "norm.bias", "projection.weight", "projection.bias"]
    assert list(make("conv").state_dict()) == names + tail


def test_no_norm_before_the_projection_on_request():
    frontend = make("conv", projection_norm=False)
    assert not [key for key in frontend.state_dict() if key.startswith("norm")]
    frames = frontend(torch.randn(1, 4000), None)
    assert torch.equal(frames.projected, frontend.projection(frames.features))


@pytest.mark.parametrize(("name", "conf"), [("conv", {}), ("fbank", {"stack_frames": 4}), ("fbank", CONV2D)])
def test_forward_is_the_three_steps(name, conf):
    frontend = make(name, **conf)
    wavs, lengths = torch.randn(2, 8000), torch.tensor([8000, 5000])
    frames, frame_lengths = frontend.analyse(wavs, lengths)
    assert frames.size(2) == frontend.analysis_dim
    assert frame_lengths.tolist() == frontend.analysis_geometry.output_lengths(lengths).tolist()
    features, feature_lengths = frontend.subsample(frames, frame_lengths)
    assert features.size(2) == frontend.feature_dim
    assert feature_lengths.tolist() == frontend.geometry.output_lengths(lengths).tolist()
    assert features.size(1) == frontend.subsample_geometry.output_lengths(frames.size(1))
    whole = frontend(wavs, lengths)
    assert torch.equal(whole.projected, frontend.project(features)) and torch.equal(whole.features, features)
    assert torch.equal(whole.lengths, feature_lengths)
    assert frontend.analyse(wavs, None)[1] is frontend.subsample(frames, None)[1] is None


@pytest.mark.parametrize(("name", "conf"), [("conv", {}), ("fbank", {"layer_norm": True})])
def test_no_projection_on_request(name, conf):
    frontend = make(name, project=False, **conf)
    frames = frontend(torch.randn(1, 8000), None)
    assert frames.projected is None and frames.features.size(2) == frontend.feature_dim
    assert not [key for key in frontend.state_dict() if key.startswith(("norm", "projection"))]


@pytest.mark.parametrize("mel_frames", [7, 10, 11, 100, 1599, 1600, 1603])
def test_convolutions_subsample_to_40_ms(mel_frames):
    frontend = make("fbank", **CONV2D)
    assert frontend.geometry.frame_rate == 25.0 and frontend.geometry.receptive_field_samples == 400 + 6 * 160
    expected = (mel_frames - 7) // 4 + 1
    assert frontend.subsample_geometry.output_lengths(mel_frames) == expected
    samples = frontend.analysis_geometry.num_samples(mel_frames)
    frames = frontend(torch.randn(1, samples), torch.tensor([samples]))
    assert frames.projected.size(1) == frames.lengths[0] == frontend.geometry.output_lengths(samples) == expected


def test_a_convolved_frame_sees_the_mel_frames_announced():
    frontend = make("fbank", **CONV2D)
    mel = torch.randn(1, 31, 20, requires_grad=True)
    frontend.subsample(mel, None)[0][0, 3].square().sum().backward()
    windows = frontend.subsample_geometry
    first, width = 3 * windows.hop_samples, windows.receptive_field_samples
    seen = mel.grad[0].abs().sum(1).nonzero().flatten().tolist()
    assert seen == list(range(first, first + width)) == list(range(12, 19))


def test_learned_features_are_told_from_computed_ones():
    learned = {name: (make(name).learns_analysis, make(name).learns_features) for name in ("conv", "fbank")}
    assert learned == {"conv": (True, True), "fbank": (False, False)}
    frontend = make("fbank", **CONV2D)
    assert not frontend.learns_analysis and frontend.learns_features


@pytest.mark.parametrize(("sample_rate", "num_mels"), [(16000, 80), (16000, 23), (8000, 40)])
def test_log_mel_is_kaldis(sample_rate, num_mels):
    torch.manual_seed(0)
    time = torch.arange(2 * sample_rate) / sample_rate
    wavs = torch.stack(
        [0.3 * torch.sin(2 * torch.pi * 440 * time) + 0.02 + 0.001 * torch.randn(len(time)), torch.randn(len(time))]
    )
    wavs[0, :800] = 0  # digital silence: the floor
    ours = LogMel(MelSettings(sample_rate, num_mels))(wavs)
    for row in range(2):
        theirs = kaldi.fbank(
            wavs[row : row + 1], sample_frequency=sample_rate, num_mel_bins=num_mels, dither=0.0, energy_floor=0.0
        )
        torch.testing.assert_close(ours[row], theirs, atol=2e-3, rtol=1e-4)


@pytest.mark.parametrize(("seconds", "fft_size"), [(0.04, 1024), (0.04, None), (0.032, 1024)])
def test_hann_mel_is_torchaudios(seconds, fft_size):
    torch.manual_seed(0)
    settings = MelSettings(num_mels=80, window="hann", window_seconds=seconds, fft_size=fft_size)
    assert settings.fft_samples == 1024
    wavs = 0.1 * torch.randn(2, 8000)
    wavs[0, :2000] = 0  # digital silence: the floor
    reference = MelSpectrogram(
        16000, 1024, settings.window_samples, 160, n_mels=80, power=1.0, center=False, norm="slaney", mel_scale="slaney"
    )
    beside = (1024 - settings.window_samples) // 2  # there the window lies in the middle of the FFT's frame
    theirs = reference(F.pad(wavs, (beside, beside))).clamp(min=1e-5).log().transpose(1, 2)
    ours = LogMel(settings)(wavs)
    assert ours.shape == theirs.shape == (2, settings.geometry.output_lengths(8000), 80)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-5)


def test_settings_that_change_the_mel_change_its_name():
    names = {MelSettings().hash, MelSettings(8000).hash, MelSettings(num_mels=40).hash, MelSettings(window="hann").hash}
    names |= {MelSettings(window_seconds=0.04).hash, MelSettings(fft_size=1024).hash}
    names |= {MelSettings(sample_scale="int16").hash}
    assert len(names) == 7
    assert "sample_scale" not in MelSettings().describe()  # what was gathered before there was a choice keeps its name
    assert MelSettings(fft_size=512).hash == MelSettings().hash  # what the default comes to


@pytest.mark.parametrize("per_bin", [True, False])
def test_corpus_statistics_normalise_and_travel(per_bin):
    frontend = make("fbank", mel_norm="corpus", mel_norm_per_bin=per_bin)
    wavs = 0.1 * torch.randn(4, 16000)
    mel = frontend.mel(wavs).flatten(0, 1)
    frontend.set_statistics(MelStatistics.of(mel))
    normalised = frontend.analyse(wavs, None)[0].flatten(0, 1)
    if per_bin:
        expected = (mel - mel.mean(0)) / mel.std(0, correction=0)
    else:
        expected = (mel - mel.mean()) / mel.std(correction=0)
        assert len(set(frontend.mel_mean.tolist())) == len(set(frontend.mel_std.tolist())) == 1
    torch.testing.assert_close(normalised, expected, atol=1e-4, rtol=1e-4)
    other = make("fbank", mel_norm="corpus", mel_norm_per_bin=per_bin)
    other.load_state_dict(frontend.state_dict())
    assert torch.equal(other.analyse(wavs, None)[0].flatten(0, 1), normalised)
    assert not {"mel_mean", "mel_std"} & {name for name, _ in frontend.named_parameters()}


def test_mel_frames_are_normalised_per_utterance():
    frontend = make("fbank")
    loud = torch.randn(1, 16000)
    features = frontend(loud, None).features
    torch.testing.assert_close(features, frontend(0.01 * loud, None).features, atol=1e-3, rtol=0)
    assert features.mean().abs() < 1e-3 and abs(features.std() - 1) < 1e-2


def test_gradient_multiplier_scales_every_convolution_exactly():
    def gradients(factor: float) -> list[torch.Tensor]:
        frontend = make("conv", feature_grad_mult=factor, dropout=0.0)
        frames = frontend(torch.linspace(-1, 1, 3200).sin()[None], None)
        loss = (frames.projected * torch.linspace(0, 1, 8)).sum() + 10 * frames.features.square().mean()
        loss.backward()
        return [parameter.grad for parameter in frontend.blocks.parameters()], frontend.projection.weight.grad

    (whole, head), (tenth, same_head) = gradients(1.0), gradients(0.125)
    assert all(torch.equal(small, large * 0.125) for small, large in zip(tenth, whole, strict=True))
    assert torch.equal(head, same_head)


def test_group_mode_normalises_once_and_layer_mode_everywhere():
    assert [block.norm is not None for block in make("conv").blocks] == [True] + [False] * 6
    assert all(block.norm is not None for block in make("conv", norm="layer").blocks)


def test_large_input_scale_is_announced():
    assert make("conv").normalize == "none"
    assert make("conv", normalize="utterance").normalize == "utterance"


def test_mel_is_float32_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert make("fbank").mel(torch.randn(1, 1600)).dtype == torch.float32


def test_builds_on_the_meta_device():
    with torch.device("meta"):
        for cls, conf in ((ConvFrontend, {}), (FbankFrontend, {}), (FbankFrontend, {**CONV2D, "window": "hann"})):
            assert all(parameter.is_meta for parameter in cls(cls.Config(**conf), 8).parameters())


def test_config_is_checked():
    with pytest.raises(ValueError, match="layers"):
        ConvFrontend.Config(layers=())
    with pytest.raises(ValueError, match="greater than 0"):
        ConvFrontend.Config(layers=((10, 0),))
    with pytest.raises(ValueError, match="fft_size 256 is shorter than the window of 400 samples"):
        FbankFrontend.Config(fft_size=256)
    with pytest.raises(ValueError, match="num_mels"):
        FbankFrontend.Config(num_mels=0)


def test_gelu_is_exact():
    block = make("conv", norm="layer").blocks[1]
    x = torch.randn(1, 12, 50)
    torch.testing.assert_close(block(x, None)[0], F.gelu(block.norm(block.conv(x))))
