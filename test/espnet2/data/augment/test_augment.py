"""Clips, noises and rooms in; levels, places and overlaps that the config asks for out."""

import numpy as np
import pytest
from tiny_sounds import SAMPLE_RATE, noise, write_scp

from espnet2.data.augment.augment import AugmentConfig, open_augmenter
from espnet2.data.augment.signal import (
    labels_at_speed,
    overlaid,
    played_samples,
    power,
    resampled,
    reverberated,
    source_samples,
)
from espnet2.data.geometry import FrameGeometry
from espnet2.data.labels.packed import frame_labels
from espnet2.utils.config import parse_config
from espnet2.utils.errors import UserError

GEOMETRY = FrameGeometry(((400, 320),))


def decibels(ratio: float) -> float:
    return 10 * np.log10(ratio)


def augmenter(**sections):
    return open_augmenter(parse_config(AugmentConfig, sections, "augment"), SAMPLE_RATE, 10)


def no_partner(random, num_samples):
    raise AssertionError("nothing is mixed here")


@pytest.mark.parametrize("ratio_db", [-5.0, 0.0, 20.0])
def test_ratio_is_that_of_the_overlapped_part(ratio_db):
    wav, other = noise(8000), noise(2000, seed=1, level=3.0)
    wav[4000:] *= 10  # the rest of the clip must not count
    mixed = overlaid(wav, other, start=1000, ratio_db=ratio_db)
    added = mixed - wav
    assert decibels(power(wav[1000:3000]) / power(added[1000:3000])) == pytest.approx(ratio_db, abs=1e-3)
    assert not added[:1000].any() and not added[3000:].any()
    assert np.corrcoef(added[1000:3000], other)[0, 1] > 0.9999


def test_silence_has_no_ratio():
    silent, wav = np.zeros(100, np.float32), noise(100)
    np.testing.assert_array_equal(overlaid(silent, wav, start=0, ratio_db=0), silent)
    np.testing.assert_array_equal(overlaid(wav, silent, start=0, ratio_db=0), wav)


def test_room_without_echo_changes_nothing():
    response = np.zeros(900, np.float32)
    response[300] = -0.2  # the direct path arrives late, weak and upside down
    np.testing.assert_allclose(reverberated(noise(5000), response), -noise(5000), atol=1e-6)


def test_room_equals_convolution_from_the_direct_path_on():
    wav, response = noise(3000), noise(8000, seed=2) * np.exp(-np.arange(8000) / 500).astype(np.float32)
    response[40] = 1.0  # longer than the clip
    expected = np.convolve(wav.astype(np.float64), response)[40 : 40 + 3000]
    expected *= np.sqrt(power(wav) / np.mean(expected**2))
    np.testing.assert_allclose(reverberated(wav, response), expected, atol=1e-6)
    assert power(reverberated(wav, response)) == pytest.approx(power(wav), rel=1e-5)


@pytest.mark.parametrize("speed", [0.5, 0.9, 1.0, 1.1, 1.37, 2.0])
def test_lengths_at_a_speed(speed):
    for length in (399, 400, 16000, 16001):
        played = played_samples(length, speed)
        assert source_samples(played, speed) <= length < source_samples(played + 1, speed)


def test_speed_moves_pitch_and_length():
    tone = np.sin(2 * np.pi * 400 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    count = played_samples(SAMPLE_RATE, 1.25)
    fast = resampled(tone, rate_in=1.25 * SAMPLE_RATE, rate_out=SAMPLE_RATE, num_samples=count)
    assert len(fast) == count == 12800
    assert np.argmax(np.abs(np.fft.rfft(fast))) * SAMPLE_RATE / count == pytest.approx(500, abs=2)


def test_labels_at_speed_one_are_frame_labels():
    crop = {"label_rate": 100, "geometry": GEOMETRY, "start_sample": 640, "num_frames": 60}
    labels = np.arange(98)
    np.testing.assert_array_equal(labels_at_speed(labels, **crop, speed=1.0), frame_labels(labels, **crop))


@pytest.mark.parametrize("speed", [0.8, 1.25])
def test_labels_follow_their_sound(speed):
    """Label 1 is where a tone was; at another speed the frames with that label hold the tone, the others do not."""
    loud = np.zeros(100, dtype=np.int64)
    loud[20:40] = loud[50:55] = 1
    wav = (np.repeat(loud, 320) * 0.5).astype(np.float32) * np.cos(np.arange(32000)).astype(np.float32)
    start, frames = 3200, 60
    count = GEOMETRY.num_samples(frames)
    source = wav[start : start + source_samples(count, speed)]
    played = resampled(source, rate_in=speed * SAMPLE_RATE, rate_out=SAMPLE_RATE, num_samples=count)
    crop = {"label_rate": 50, "geometry": GEOMETRY, "start_sample": start, "num_frames": frames}
    sounding = labels_at_speed(loud[:99], **crop, speed=speed)
    middles = np.array([power(played[320 * t + 100 : 320 * t + 300]) > 0.01 for t in range(frames)])
    wrong = np.flatnonzero(middles != sounding)
    assert len(wrong) <= 4, "at most the frames on the four edges of the two tones"
    edges = np.flatnonzero(np.diff(sounding))
    assert len(edges) >= 3 and all(np.abs(edges - frame).min() <= 1 for frame in wrong)


def test_mixing_has_the_statistics_of_the_paper():
    """Probability 0.2; overlap uniform up to half of the clip, anywhere; energy ratio uniform in -5..5 dB."""
    mix, wav, asked = augmenter(mixing={}), noise(1000), []

    def partner(random, num_samples):
        asked.append(num_samples)
        return noise(num_samples, seed=1, level=0.7)

    clips = [mix(wav, np.random.default_rng(seed), partner) for seed in range(3000)]
    mixed = [clip.wav - wav for clip in clips if clip.is_mixed]
    assert len(mixed) == len(asked) and len(mixed) / 3000 == pytest.approx(0.2, abs=0.03)
    assert all(np.array_equal(clip.wav, wav) for clip in clips if not clip.is_mixed)
    spans = np.array([np.flatnonzero(added)[[0, -1]] for added in mixed])
    lengths = spans[:, 1] - spans[:, 0] + 1
    assert lengths.max() <= 500 and lengths.mean() == pytest.approx(250, abs=20)
    starts = spans[:, 0] / (1000 - lengths)
    assert starts.mean() == pytest.approx(0.5, abs=0.05) and starts.min() < 0.02 and starts.max() > 0.98
    ratios = [decibels(power(wav[a : b + 1]) / power(added[a : b + 1])) for (a, b), added in zip(spans, mixed)]  # noqa: B905
    assert -5.01 < min(ratios) < -4.5 and 4.5 < max(ratios) < 5.01 and np.mean(ratios) == pytest.approx(0, abs=0.5)


def test_mixing_takes_a_noise_now_and_then(tmp_path):
    scp = write_scp(tmp_path / "noise", {"a": noise(50_000)})
    mix, voices = augmenter(mixing={"probability": 1, "noise_scp": scp, "noise_probability": 0.1}), []
    partner = lambda random, num_samples: voices.append(1) or noise(num_samples, seed=1)  # noqa: E731
    wav = noise(1000, seed=2)
    clips = [mix(wav, np.random.default_rng(seed), partner) for seed in range(1000)]
    assert all(clip.is_mixed for clip in clips) and len(voices) / 1000 == pytest.approx(0.9, abs=0.03)
    changed = [np.flatnonzero(clip.wav - wav) for clip in clips]
    assert max(len(places) for places in changed) <= 500


def test_babble_of_equally_loud_sources_at_the_drawn_level(tmp_path):
    tones = {f"t{k}": k * np.sin(2 * np.pi * 100 * k * np.arange(SAMPLE_RATE) / SAMPLE_RATE) for k in (1, 2, 4)}
    scp = write_scp(tmp_path / "babble", tones)
    babble = augmenter(noise=[{"noise_scp": scp, "probability": 1, "snr_db": [10, 10], "sources": [3, 3]}])
    wav, levels = noise(SAMPLE_RATE, seed=3), []
    for seed in range(10):
        added = babble(wav, np.random.default_rng(seed), no_partner).wav - wav
        assert decibels(power(wav) / power(added)) == pytest.approx(10, abs=0.01)
        spectrum = np.abs(np.fft.rfft(added))[[100, 200, 400]]
        levels.append(spectrum[spectrum > 0.2 * spectrum.max()])
    alone = [
        amplitudes for amplitudes in levels if len(amplitudes) == 3
    ]  # each tone once: equally loud, though the files were not
    assert alone and all(amplitudes.min() / amplitudes.max() > 0.99 for amplitudes in alone)


def test_probabilities_gain_and_rooms(tmp_path):
    scp = write_scp(tmp_path / "rirs", {"echo": np.array([0.0, 1.0, 0.0, 0.5])})
    both = augmenter(reverb={"rir_scp": scp, "probability": 0.3}, gain={"probability": 0.5, "range_db": [-6, -3]})
    wav = noise(2000)
    wet = reverberated(wav, np.array([0, 1, 0, 0.5], dtype=np.float32))
    counts = {"dry": 0, "soft": 0}
    for seed in range(400):
        made = both(wav, np.random.default_rng(seed), no_partner).wav
        level = decibels(power(made) / power(wav))
        assert level == pytest.approx(0, abs=1e-4) or -6.001 < level < -2.999
        counts["soft"] += level < -1
        scaled = made / np.sqrt(power(made) / power(wav))
        dry = np.allclose(scaled, wav, atol=1e-5)
        assert dry or np.allclose(scaled, wet, atol=1e-5)
        counts["dry"] += dry
    assert counts["dry"] / 400 == pytest.approx(0.7, abs=0.07) and counts["soft"] / 400 == pytest.approx(0.5, abs=0.08)
    np.testing.assert_array_equal(wav, noise(2000))  # the clip itself is never written into


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"noize": []}, "unknown key 'noize'; did you mean 'noise'"),
        ({"mixing": {"probabilty": 0.2}}, "unknown key 'mixing.probabilty'; did you mean 'probability'"),
        ({"noise": [{"noise_scp": "a", "snr": [0, 1]}]}, r"unknown key 'noise\.0\.snr'; did you mean 'snr_db'"),
        ({"reverb": {}}, r"'reverb\.rir_scp' is required"),
        ({"mixing": {"max_overlap": 0.6}}, "less than or equal to 0.5"),
        ({"mixing": {"snr_db": [20, -5]}}, r"snr_db is \[20\.0, -5\.0\]: expected \[smallest, largest\]"),
        ({"noise": {"noise_scp": "a", "sources": [0, 3]}}, "at least one source"),
        ({"speed": {"factors": [0.9, 11]}}, "11.0 is no speed"),
        ({"speed": {"factors": [0.33333]}}, "no speed: expected 0.5 to 2 with at most 3 decimals"),
    ],
)
def test_wrong_keys_and_values_are_refused(sections, message):
    with pytest.raises(UserError, match=message):
        parse_config(AugmentConfig, sections, "conf.yaml: augment")


def test_nothing_asked_for_is_nothing_done():
    assert augmenter() is None and augmenter(noise=[]) is None
    with pytest.raises(UserError, match="hold one utterance; there is nothing to mix"):
        open_augmenter(parse_config(AugmentConfig, {"mixing": {}}, "augment"), SAMPLE_RATE, 1)


def test_the_log_line_names_every_part(tmp_path):
    scp = write_scp(tmp_path / "noise", {"a": noise(10), "b": noise(10)})
    line = augmenter(
        speed={},
        reverb={"rir_scp": scp},
        mixing={"noise_scp": scp},
        noise={"noise_scp": scp, "snr_db": [0, 15]},
        gain={},
    ).describe()
    for part in (
        "speed 0.9, 1, 1.1",
        "50% in one of 2 rooms",
        "20% mixed",
        "(10%) one of 2 noises",
        "0..15 dB",
        "-6..6",
    ):
        assert part in line, line
