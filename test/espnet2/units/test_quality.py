"""Purities and PNMI on cases worked out by hand, and the frames that a phone alignment gives."""

import math
from itertools import pairwise

import numpy as np
import pytest

from espnet2.units.quality import (
    NO_PHONE,
    joint_counts,
    label_text_quality,
    quality_of_counts,
    read_alignments,
    units_at_rate,
)
from espnet2.utils.errors import UserError


def test_a_table_by_hand():
    quality = quality_of_counts(np.array([[4, 1, 0], [0, 2, 1]]))  # 2 units, 3 phones, 8 frames
    assert quality.phone_purity == pytest.approx((4 + 2) / 8)
    assert quality.cluster_purity == pytest.approx((4 + 2 + 1) / 8)
    phone_entropy = -sum(p * math.log(p) for p in (4 / 8, 3 / 8, 1 / 8))
    information = sum(
        count / 8 * math.log(count / 8 / (unit / 8 * phone / 8))
        for count, unit, phone in ((4, 5, 4), (1, 5, 3), (2, 3, 3), (1, 3, 1))
    )
    assert quality.pnmi == pytest.approx(information / phone_entropy)
    assert (quality.num_frames, quality.num_phones, quality.num_used_units) == (8, 3, 2)


def test_the_two_ends_of_the_scale():
    perfect = quality_of_counts(np.diag([3, 5, 2]))
    assert (perfect.phone_purity, perfect.cluster_purity) == (1, 1)
    assert perfect.pnmi == pytest.approx(1)
    useless = quality_of_counts(np.array([[6, 2], [3, 1]]))
    assert useless.pnmi == pytest.approx(0, abs=1e-12)
    assert useless.phone_purity == pytest.approx(0.75)
    assert quality_of_counts(np.array([[3], [1]])).pnmi == 0  # one phone: nothing to tell


def test_joint_counts_cut_the_longer_and_pass_over_frames_without_phone():
    pairs = [
        (np.array([0, 1, 1, 2]), np.array([1, 0, 0])),
        (np.array([2, 2]), np.array([NO_PHONE, 1, 1])),
    ]
    assert joint_counts(pairs, 3, 2).tolist() == [[0, 1], [2, 0], [0, 1]]


def write_ctm(tmp_path, *lines):
    path = tmp_path / "phones.ctm"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_a_frame_is_the_phone_at_its_centre(tmp_path):
    alignments = read_alignments(
        write_ctm(tmp_path, "u 1 0.0000 0.0125 sil", "u 1 0.0125 0.0200 a", "u 1 0.0500 0.0300 b")
    )
    assert alignments.phones == ("sil", "a", "b")
    # Centres at 12.5, 32.5, 52.5, 72.5, 92.5 ms; a phone includes its start, not its end.
    assert alignments.utterances["u"].frames(5, 50).tolist() == [1, NO_PHONE, 2, 2, NO_PHONE]
    # At 100 per second every second frame is the same.
    assert alignments.utterances["u"].frames(9, 100)[::2].tolist() == [1, NO_PHONE, 2, 2, NO_PHONE]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["u 1 0.0 0.1"], r"phones.ctm:1: expected '<utt> <channel> <start s>"),
        (["u 1 0.0 0.1 a", "u 1 zero 0.1 a"], r"phones.ctm:2"),
        (["u 1 0.5 0.1 a", "u 1 0.1 0.1 a"], r"phones.ctm:2: phones of u are not in order of time"),
        ([], "no phones"),
    ],
)
def test_malformed_alignments_are_refused_with_their_line(tmp_path, lines, message):
    with pytest.raises(UserError, match=message):
        read_alignments(write_ctm(tmp_path, *lines))


def test_units_are_thinned_to_a_common_rate():
    assert units_at_rate(np.arange(7), 100, 50).tolist() == [0, 2, 4, 6]
    assert units_at_rate(np.arange(3), 50, 50).tolist() == [0, 1, 2]
    for unit_rate, frame_rate in ((50, 100), (100, 40)):
        with pytest.raises(UserError, match="whole multiple"):
            units_at_rate(np.arange(7), unit_rate, frame_rate)


def test_a_label_text(tmp_path):
    alignments = read_alignments(write_ctm(tmp_path, "u 1 0 0.04 a", "u 1 0.04 0.04 b", "v 1 0 1 a"))
    text = tmp_path / "labels.txt"
    text.write_text("u 7 7 3 3 3 3\nw 1 1 1\n", encoding="utf-8")
    quality = label_text_quality(text, alignments, label_rate=50, frame_rate=50)
    assert (quality.num_frames, quality.phone_purity) == (4, 1.0)
    with pytest.raises(UserError, match=r"labels\.txt:1: unit 7, expected 0 to 6: is it of another k-means"):
        label_text_quality(text, alignments, label_rate=50, frame_rate=50, num_units=7)
    text.write_text("u 1 -1 1\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"labels\.txt:1: unit -1, expected no number below 0"):
        label_text_quality(text, alignments, label_rate=50, frame_rate=50)
    text.write_text("w 1 1 1\n", encoding="utf-8")
    with pytest.raises(UserError, match="none of its utterances"):
        label_text_quality(text, alignments, label_rate=50, frame_rate=50)
    text.write_text("u 1 x 1\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"labels\.txt:1: expected"):
        label_text_quality(text, alignments, label_rate=50, frame_rate=50)


WRONG_TIMES = {
    "half the rate": (25, 1.0, 0.0),
    "twice the rate": (100, 1.0, 0.0),
    "milliseconds": (50, 1000.0, 0.0),
    "shifted beyond the audio": (50, 1.0, 0.5),
    "centiseconds as seconds": (50, 100.0, 0.0),
}


@pytest.mark.parametrize("case", WRONG_TIMES)
def test_another_rate_or_unit_of_time_is_refused(tmp_path, case):
    rate, scale, shift = WRONG_TIMES[case]
    generator, lines, texts = np.random.default_rng(0), [], []
    for number in range(12):
        seconds = 1 + 0.1 * number
        ends = np.linspace(0, seconds - 0.05, 8) * scale + shift
        lines += [f"u{number:02d} 1 {a:.3f} {b - a:.3f} p{phone}" for phone, (a, b) in enumerate(pairwise(ends))]
        texts.append(f"u{number:02d} {' '.join(map(str, generator.integers(0, 5, round(50 * seconds) - 1)))}\n")
    text = tmp_path / "labels.txt"
    text.write_text("".join(texts))
    with pytest.raises(UserError, match=r"is the rate about .* per second, or are the times of the phones not seconds"):
        label_text_quality(text, read_alignments(write_ctm(tmp_path, *lines)), label_rate=rate, frame_rate=rate)


def test_a_byte_order_mark_is_passed_over_and_said(tmp_path, capsys):
    path = write_ctm(tmp_path, "u 1 0 0.04 a")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert list(read_alignments(path).utterances) == ["u"]
    assert "a byte order mark at its head is passed over" in capsys.readouterr().err
