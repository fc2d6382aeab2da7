"""Clips in; clipped, narrow, coded and torn ones, with their sound where it was, out."""

import numpy as np
import pytest
import soundfile
from tiny_sounds import SAMPLE_RATE, noise

from espnet2.data.augment import codec as codec_module
from espnet2.data.augment.augment import AugmentConfig, open_augmenter
from espnet2.data.augment.channel import (
    CodecConfig,
    LowPassConfig,
    PacketLossConfig,
    lost_packets,
    low_passed,
    through_codec,
    with_losses,
)
from espnet2.data.augment.codec import CODECS, check_codec, coded
from espnet2.data.augment.signal import power
from espnet2.utils.config import parse_config
from espnet2.utils.errors import UserError


def speech(num_samples: int = 24000, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Noise below 1 kHz that comes and goes: what codecs keep."""
    spectrum = np.fft.rfft(noise(num_samples))
    spectrum[np.fft.rfftfreq(num_samples, 1 / sample_rate) > 1000] = 0
    wav = np.fft.irfft(spectrum, num_samples) * np.abs(np.sin(np.arange(num_samples) / sample_rate * 9))
    return (0.3 * wav / np.abs(wav).max()).astype(np.float32)


def through(wav: np.ndarray, seed: int = 0, **sections) -> np.ndarray:
    augmenter = open_augmenter(parse_config(AugmentConfig, sections, "augment"), SAMPLE_RATE, 10)
    return augmenter(wav, np.random.default_rng(seed), lambda random, count: noise(count)).wav


def share_above(wav: np.ndarray, frequency: float) -> float:
    powers = np.abs(np.fft.rfft(wav)) ** 2
    return powers[np.fft.rfftfreq(len(wav), 1 / SAMPLE_RATE) > frequency].sum() / powers.sum()


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("num_samples", [24000, 8001, 100])
def test_codecs_leave_the_sound_where_it_was(name, num_samples):
    wav = speech(num_samples)
    heard = coded(wav, SAMPLE_RATE, name, 0.7)
    assert heard.shape == wav.shape and heard.dtype == np.float32
    if num_samples > 1000:
        assert np.corrcoef(wav, heard)[0, 1] > 0.9, "moved, or another sound"
        assert power(heard) == pytest.approx(power(wav), rel=0.3)
    assert not np.array_equal(wav, heard)


def test_mulaw_is_the_formula_of_g711():
    """Companding with mu = 255 has at most 1/16 of relative error where a sample is not small (G.711, 14 bits)."""
    wav = np.linspace(-0.9, 0.9, 4000, dtype=np.float32)
    heard = coded(wav, 8000, "mulaw", 0.5)
    loud = np.abs(wav) > 0.05
    assert np.abs(heard[loud] / wav[loud] - 1).max() < 1 / 16
    assert len(np.unique(heard)) < 256


def test_telephone_codecs_leave_four_kilohertz():
    wav = 0.1 * noise(16000)
    for name in ("alaw", "mulaw", "gsm"):
        assert share_above(coded(wav, SAMPLE_RATE, name, 0.5), 4100) < 1e-3
    assert share_above(coded(wav, SAMPLE_RATE, "opus", 0.1), 4100) > 0.1


def test_more_compression_leaves_less():
    wav = speech()
    for name in ("mp3", "opus"):
        errors = [power(coded(wav, SAMPLE_RATE, name, level) - wav) for level in (0.1, 0.99)]
        assert errors[0] < errors[1]


def test_a_clip_beyond_full_scale_is_not_clipped_by_a_codec():
    wav = 5 * speech()
    assert np.corrcoef(wav, coded(wav, SAMPLE_RATE, "alaw", 0.5))[0, 1] > 0.99


def test_silence_stays_silent():
    silent = np.zeros(5000, np.float32)
    everything = {"clipping": {}, "low_pass": {}, "codec": {}, "packet_loss": {}}
    for seed in range(5):
        certain = {name: {"probability": 1.0} for name in everything}
        assert np.abs(through(silent, seed, **certain)).max() < 1e-3


def test_clipping_cuts_at_a_share_of_the_loudest():
    wav = noise(8000)
    heard = through(wav, clipping={"probability": 1.0, "threshold_db": [-6.0, -6.0]})
    limit = np.abs(wav).max() * 10 ** (-6 / 20)
    np.testing.assert_allclose(heard, np.clip(wav, -limit, limit), rtol=1e-6)


def test_low_pass_keeps_what_is_below_and_nothing_above():
    wav = noise(16000)
    heard = through(wav, low_pass={"probability": 1.0, "cutoff_hz": [2000, 2000]})
    assert share_above(heard, 2050) < 1e-4 and share_above(wav, 2050) > 0.7
    below = speech(16000)
    kept = through(below, low_pass={"probability": 1.0, "cutoff_hz": [2000, 2000]})
    np.testing.assert_allclose(kept[200:-200], below[200:-200], atol=2e-3)
    above = LowPassConfig(cutoff_hz=(8000, 9000))
    assert np.array_equal(low_passed(wav, np.random.default_rng(0), above, 16000), wav)


@pytest.mark.parametrize(("rate", "burst"), [(0.1, 1.0), (0.2, 3.0), (0.0, 2.0)])
def test_packets_are_lost_at_a_rate_in_bursts(rate, burst):
    lost = lost_packets(200_000, np.random.default_rng(0), rate, burst)
    assert lost.mean() == pytest.approx(rate, abs=0.012)
    if rate:
        bursts = np.count_nonzero(np.diff(lost.astype(int)) == 1)
        assert lost.sum() / bursts == pytest.approx(burst, rel=0.05)


@pytest.mark.parametrize("fill", ["silence", "repeat"])
def test_a_lost_packet_is_silent_or_the_one_before(fill):
    wav = speech(16100)
    config = PacketLossConfig(loss_rate=(0.3, 0.3), fill=fill)
    heard = with_losses(wav, np.random.default_rng(3), config, SAMPLE_RATE)
    pairs = [(heard[begin : begin + 320], wav[begin : begin + 320]) for begin in range(0, 16100, 320)]
    lost = [number for number, (ours, theirs) in enumerate(pairs) if not np.array_equal(ours, theirs)]
    assert 5 < len(lost) < 30
    for number in lost:
        expected = pairs[number - 1][0] if fill == "repeat" and number else np.zeros(320)
        np.testing.assert_array_equal(pairs[number][0], expected[: len(pairs[number][0])])


def test_the_same_numbers_give_the_same_bytes():
    wav = speech()
    certain = {name: {"probability": 1.0} for name in ("clipping", "low_pass", "codec", "packet_loss")}
    first = [through(wav, seed, **certain) for seed in range(4)]
    assert all(np.array_equal(through(wav, seed, **certain), heard) for seed, heard in enumerate(first))
    assert not np.array_equal(first[0], first[1])
    drawn = {
        through_codec(wav, np.random.default_rng(seed), CodecConfig(names=("alaw", "gsm")), SAMPLE_RATE).tobytes()
        for seed in range(20)
    }
    assert len(drawn) == 2


def test_the_log_names_what_happens():
    config = parse_config(AugmentConfig, {"clipping": {}, "low_pass": {}, "codec": {}, "packet_loss": {}}, "augment")
    text = open_augmenter(config, SAMPLE_RATE, 10).describe()
    assert text == (
        "10% clipped; 10% up to 1500..7000 Hz only; 20% through alaw, mulaw, gsm, mp3, opus; "
        "10% without 2%..20% of their packets"
    )


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"codec": {"names": ["amr"]}}, "augment: 'codec.names.0' is 'amr'"),
        ({"codec": {"names": []}}, r"codec\.names"),
        ({"codec": {"compression": [0.5, 1.0]}}, "expected 0 to 0.99"),
        ({"codec": {"compression": [0.9, 0.5]}}, r"expected \[smallest, largest\]"),
        ({"clipping": {"threshold_db": [-3, 3]}}, "clips nothing"),
        ({"low_pass": {"cutoff_hz": [20, 3000]}}, "no speech is left"),
        ({"packet_loss": {"loss_rate": [0.5, 0.95]}}, "from 0 to 0.9"),
        ({"packet_loss": {"mean_burst": 0.5}}, "mean_burst"),
        ({"low_pas": {}}, "did you mean 'low_pass'"),
    ],
)
def test_wrong_sections_are_refused(section, message):
    with pytest.raises(UserError, match=message):
        parse_config(AugmentConfig, section, "augment")


def test_a_low_pass_that_lets_all_through_is_refused():
    channel = parse_config(AugmentConfig, {"low_pass": {"cutoff_hz": [4000, 7000]}}, "augment").channel
    channel.check(16000, "augment")
    with pytest.raises(UserError, match=r"augment.low_pass: cutoff_hz begins at 4000 Hz, and audio of 8000 Hz"):
        channel.check(8000, "augment")


def test_a_codec_that_this_machine_lacks_is_named(monkeypatch):
    def refuse(*arguments, **options):
        raise soundfile.LibsndfileError(0, "Format not recognised")

    config = parse_config(AugmentConfig, {"codec": {"names": ["opus"]}}, "augment")
    check_codec.cache_clear()
    monkeypatch.setattr(codec_module.soundfile, "write", refuse)
    with pytest.raises(UserError, match=r"codec opus is not available here \(soundfile .*pip install"):
        open_augmenter(config, SAMPLE_RATE, 10)


def test_a_codec_that_moves_the_sound_is_named(monkeypatch):
    """LAME at a low constant rate does not note its delay."""
    write = codec_module.soundfile.write

    def constant(*arguments, **options):
        return write(*arguments, **{**options, "bitrate_mode": "CONSTANT", "compression_level": 0.9})

    check_codec.cache_clear()
    monkeypatch.setattr(codec_module.soundfile, "write", constant)
    with pytest.raises(UserError, match="the codec mp3 moves the sound by 1105 samples"):
        check_codec("mp3", SAMPLE_RATE, "augment.codec")
    check_codec.cache_clear()
