"""Frontends: frame arithmetic, Kaldi's mel values, padding, gradient scaling."""

import pytest
import torch
from torch.nn import functional as F
from torchaudio.compliance import kaldi

from espnet2.ssl.frontend import frontend_class, frontend_names
from espnet2.ssl.frontend.conv import ConvFrontend
from espnet2.ssl.frontend.fbank import FbankFrontend, LogMel
from espnet2.ssl.frontend.geometry import FrameGeometry
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


@pytest.mark.parametrize(("sample_rate", "num_mels"), [(16000, 80), (16000, 23), (8000, 40)])
def test_log_mel_is_kaldis(sample_rate, num_mels):
    torch.manual_seed(0)
    time = torch.arange(2 * sample_rate) / sample_rate
    wavs = torch.stack(
        [0.3 * torch.sin(2 * torch.pi * 440 * time) + 0.02 + 0.001 * torch.randn(len(time)), torch.randn(len(time))]
    )
    wavs[0, :800] = 0  # digital silence: the floor
    ours = LogMel(sample_rate, num_mels)(wavs)
    for row in range(2):
        theirs = kaldi.fbank(
            wavs[row : row + 1], sample_frequency=sample_rate, num_mel_bins=num_mels, dither=0.0, energy_floor=0.0
        )
        torch.testing.assert_close(ours[row], theirs, atol=2e-3, rtol=1e-4)


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
        for cls in (ConvFrontend, FbankFrontend):
            assert all(parameter.is_meta for parameter in cls(cls.Config(), 8).parameters())


def test_config_is_checked():
    with pytest.raises(ValueError, match="layers"):
        ConvFrontend.Config(layers=())
    with pytest.raises(ValueError, match="greater than 0"):
        ConvFrontend.Config(layers=((10, 0),))
    with pytest.raises(ValueError, match="num_mels"):
        FbankFrontend.Config(num_mels=0)


def test_gelu_is_exact():
    block = make("conv", norm="layer").blocks[1]
    x = torch.randn(1, 12, 50)
    torch.testing.assert_close(block(x, None)[0], F.gelu(block.norm(block.conv(x))))
