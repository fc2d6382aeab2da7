"""Counts, rates and classes in; nothing or one error with the likely cause out."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from espnet2.data.geometry import FrameGeometry
from espnet2.data.labels.check import (
    check_labels,
    check_training_labels,
    expected_counts,
    infer_label_rate,
    label_stride,
)
from espnet2.data.labels.packed import PackedLabels, pack_labels
from espnet2.data.labels.statistics import label_statistics
from espnet2.utils.errors import UserError

TEN_MS, TWENTY_MS, FORTY_MS = (FrameGeometry(((400, hop),)) for hop in (160, 320, 640))
SPREAD = label_statistics([np.array([0, 1, 2])], num_classes=3)


@dataclass
class Lengths:
    """The columns of an index that the checks read."""

    num_samples: np.ndarray = field(default_factory=lambda: np.arange(20, 60) * 4000)  # 5 to 15 s
    sample_rate: int = 16000
    hash: str = "abc"

    def utt_id(self, row: int) -> str:
        return f"utt{row:02d}"


def test_expected_counts_are_those_of_the_windows() -> None:
    samples = np.array([0, 399, 400, 719, 720, 16000, 160000, 250000])
    assert expected_counts(samples, sample_rate=16000, label_rate=100)[-3:].tolist() == [98, 998, 1561]
    for label_rate, geometry in ((100, TEN_MS), (50, TWENTY_MS), (25, FORTY_MS)):
        counts = expected_counts(samples, sample_rate=16000, label_rate=label_rate)
        assert counts.tolist() == geometry.output_lengths(samples).tolist()
    hubert = FrameGeometry(((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2)))
    many = np.arange(0, 100_000, 37)
    counts = expected_counts(many, sample_rate=16000, label_rate=50)
    assert counts.tolist() == hubert.output_lengths(many).tolist()
    assert expected_counts(np.array([22050]), sample_rate=22050, label_rate=100).tolist() == [98]


@pytest.mark.parametrize("label_rate", [100, 50, 25])
@pytest.mark.parametrize("surplus", [-6, 0, 6])
def test_the_rate_is_found(label_rate: int, surplus: int) -> None:
    counts = expected_counts(Lengths().num_samples, sample_rate=16000, label_rate=label_rate) + surplus
    counts[3] = 0  # without labels
    assert infer_label_rate(counts, Lengths(), source="text") == label_rate


@pytest.mark.parametrize(
    ("per_second", "message"),
    [(3, "look like words, letters or phones"), (13, "look like"), (70, "made from this audio")],
)
def test_other_rates_are_refused(per_second: int, message: str) -> None:
    with pytest.raises(UserError, match=rf"text: {per_second}\.\d labels per second .*expected 100, 50, 25.*{message}"):
        infer_label_rate(Lengths().num_samples * per_second // 16000, Lengths(), source="text")


def check(counts: np.ndarray, label_rate: int = 50, **options) -> None:
    check_labels(counts, options.pop("statistics", SPREAD), Lengths(), label_rate=label_rate, source="text", **options)


def fitting(label_rate: int = 50) -> np.ndarray:
    return expected_counts(Lengths().num_samples, sample_rate=16000, label_rate=label_rate)


def test_labels_that_fit_pass() -> None:
    check(fitting())
    check(fitting() + 2)
    check(fitting(100) - 2, label_rate=100)


def test_counts_beyond_the_tolerance_name_five_and_the_cause() -> None:
    counts = fitting()
    counts[:7] -= 40
    with pytest.raises(UserError) as error:
        check(counts)
    message = str(error.value)
    assert "7 of 40 utterances" in message and "Was the audio changed" in message
    assert message.count("\n") == 5 and "\n  utt00: 209 labels, expected 249 (5.00 s)" in message
    check(counts, tolerance_labels=40)


def test_a_wrong_rate_is_told_apart_from_wrong_audio() -> None:
    with pytest.raises(UserError, match="about 100 labels per second: pass --label_rate 100"):
        check(fitting(100), label_rate=50)


def test_transcripts_are_told_apart_from_labels() -> None:
    with pytest.raises(UserError, match="words, letters or phones of a transcript"):
        check(np.full(40, 12))


def test_padded_frames_are_told_apart_from_wrong_audio() -> None:
    with pytest.raises(UserError, match=r"differ by \+3.*--tolerance_labels 3"):
        check(fitting() + 3)
    check(fitting() + 3, tolerance_labels=3)


def test_missing_labels_beyond_the_share_are_refused() -> None:
    counts = fitting()
    counts[[2, 5, 7, 11, 13, 17]] = 0
    with pytest.raises(UserError) as error:
        check(counts)
    assert "6 of 40 utterances have no labels (utt02, utt05, utt07, utt11, utt13, ..)" in str(error.value)
    assert "Were the labels of all jobs merged" in str(error.value)
    check(counts, max_missing_ratio=0.15)
    with pytest.raises(UserError, match="belongs to another set"):
        check(counts * 0, max_missing_ratio=1.0)


def test_labels_of_one_class_are_refused() -> None:
    one = label_statistics([np.array([2, 2])], num_classes=3)
    with pytest.raises(UserError, match="all 2 labels are of class 2; expected many of the 3"):
        check(fitting(), statistics=one)


@pytest.mark.parametrize(
    ("label_rate", "geometry", "stride"), [(100, TWENTY_MS, 2), (100, TEN_MS, 1), (50, TWENTY_MS, 1), (25, FORTY_MS, 1)]
)
def test_rates_that_fit(label_rate: int, geometry: FrameGeometry, stride: int) -> None:
    assert label_stride(label_rate, geometry, source="labels") == stride


@pytest.mark.parametrize(("label_rate", "stride"), [(50, 2), (100, 4)])
def test_labels_are_dropped_on_request_only(label_rate: int, stride: int) -> None:
    with pytest.raises(UserError, match=rf"one of {stride} labels.*allow_rate_reduction: true"):
        label_stride(label_rate, FORTY_MS, source="labels")
    assert label_stride(label_rate, FORTY_MS, allow_rate_reduction=True, source="labels") == stride


@pytest.mark.parametrize(
    ("label_rate", "geometry"), [(50, TEN_MS), (25, TWENTY_MS), (100, FrameGeometry(((400, 240),)))]
)
def test_rates_that_do_not_fit(label_rate: int, geometry: FrameGeometry) -> None:
    with pytest.raises(UserError, match=f"labels: {label_rate} labels per second, but the model makes"):
        label_stride(label_rate, geometry, allow_rate_reduction=True, source="labels")


@pytest.fixture
def packed(tmp_path) -> PackedLabels:
    return pack_labels([np.array([0, 1])], tmp_path / "labels", num_classes=3, label_rate=50, index_hash="abc")


def test_training_with_its_own_labels_starts(packed) -> None:
    check_training_labels([packed], [Lengths()], TWENTY_MS)
    check_training_labels([packed, packed], [Lengths(), Lengths()], TWENTY_MS)


@pytest.mark.parametrize(
    ("index_hash", "geometry", "message"),
    [
        ("other", TWENTY_MS, r"another index \(abc\) than the set's \(other\)"),
        ("abc", TEN_MS, "50 labels per second, but the model makes 100"),
    ],
)
def test_training_with_foreign_labels_does_not(packed, index_hash, geometry, message) -> None:
    with pytest.raises(UserError, match=message):
        check_training_labels([packed], [Lengths(hash=index_hash)], geometry)


@pytest.mark.parametrize("name", ["labels", "offsets"])
def test_training_with_labels_that_are_not_those_of_their_card_does_not(packed, name) -> None:
    values = np.load(packed.directory / f"{name}.npy")
    values[1] += 1
    np.save(packed.directory / f"{name}.npy", values)
    with pytest.raises(UserError, match=r"not those that labels|are damaged"):
        check_training_labels([PackedLabels.open(packed.directory)], [Lengths()], TWENTY_MS)


def test_valid_labels_of_other_clusters_are_refused(packed, tmp_path) -> None:
    other = pack_labels([np.array([0])], tmp_path / "valid", num_classes=4, label_rate=50, index_hash="abc")
    with pytest.raises(UserError, match="learned on the train set"):
        check_training_labels([packed, other], [Lengths(), Lengths()], TWENTY_MS)
    with pytest.raises(UserError, match="1 label folders for 2 sets"):
        check_training_labels([packed], [Lengths(), Lengths()], TWENTY_MS)
