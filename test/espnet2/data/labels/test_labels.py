"""Label sequences in, packed labels and the labels of a crop's frames out."""

import json
import pickle

import numpy as np
import pytest

from espnet2.data.geometry import FrameGeometry
from espnet2.data.labels.joined import JoinedLabels
from espnet2.data.labels.packed import NO_LABEL, PackedLabels, frame_labels, pack_labels
from espnet2.data.labels.whole import is_whole
from espnet2.utils.errors import UserError

HUBERT = FrameGeometry(((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2)))
ROWS = [np.array([0, 4, 2]), np.array([], dtype=int), np.array([3]), np.array([1, 1, 1, 1])]


def pack(folder, rows=ROWS, **changes) -> PackedLabels:
    options = {"num_classes": 5, "label_rate": 50, "index_hash": "abc"} | changes
    return pack_labels(rows, folder, **options)


def test_what_is_packed_comes_back(tmp_path) -> None:
    labels = pack(tmp_path / "labels", source={"text": "labels.txt"})
    for opened in (labels, PackedLabels.open(tmp_path / "labels"), pickle.loads(pickle.dumps(labels))):
        assert [opened.labels(row).tolist() for row in range(len(opened))] == [row.tolist() for row in ROWS]
        assert opened.lengths.tolist() == [3, 0, 1, 4]
        assert (opened.num_classes, opened.label_rate, opened.index_hash) == (5, 50.0, "abc")
        assert opened.card["source"] == {"text": "labels.txt"}


def test_pickled_labels_hold_no_arrays(tmp_path) -> None:
    labels = pack(tmp_path / "labels", rows=[np.zeros(10_000, dtype=int)])
    assert len(pickle.dumps(JoinedLabels([labels]))) < 1000


@pytest.mark.parametrize(("num_classes", "kind"), [(32767, np.int16), (32768, np.int32)])
def test_the_smallest_integer_type_is_used(tmp_path, num_classes: int, kind: type) -> None:
    labels = pack(tmp_path / "labels", rows=[np.array([num_classes - 1])], num_classes=num_classes)
    assert labels.flat.dtype == kind and labels.labels(0)[0] == num_classes - 1


def test_rows_longer_than_the_buffer(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("espnet2.data.labels.packed.BUFFER_LABELS", 2)
    assert pack(tmp_path / "labels").hash == pack(tmp_path / "same").hash
    assert PackedLabels.open(tmp_path / "labels").labels(3).tolist() == [1, 1, 1, 1]


def test_the_hash_follows_the_contents(tmp_path) -> None:
    first = pack(tmp_path / "first").hash
    assert pack(tmp_path / "again", index_hash="other").hash == first
    moved = [np.array([0, 4]), np.array([2]), *ROWS[2:]]  # the same labels with other borders
    for name, changes in {"moved": {"rows": moved}, "rate": {"label_rate": 100}, "classes": {"num_classes": 6}}.items():
        assert pack(tmp_path / name, **changes).hash != first, name


def test_an_older_folder_is_replaced_whole(tmp_path) -> None:
    pack(tmp_path / "labels")
    (tmp_path / "labels" / "leftover").touch()
    pack(tmp_path / "labels", rows=ROWS[:1])
    assert len(PackedLabels.open(tmp_path / "labels")) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["labels"]
    assert not (tmp_path / "labels" / "leftover").exists()


@pytest.mark.parametrize("wrong", [5, -1])
def test_a_label_out_of_range_leaves_nothing_behind(tmp_path, wrong: int) -> None:
    with pytest.raises(UserError, match=r"expected 0\.\.4"):
        pack(tmp_path / "labels", rows=[*ROWS, np.array([wrong])])
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_the_older_folder(tmp_path) -> None:
    def failing():
        yield ROWS[0]
        raise OSError(28, "No space left on device")

    first = pack(tmp_path / "labels").hash
    with pytest.raises(OSError, match="No space left"):
        pack(tmp_path / "labels", rows=failing())
    assert PackedLabels.open(tmp_path / "labels").hash == first
    assert len(list(tmp_path.iterdir())) == 1


def test_a_set_without_any_label_can_be_packed(tmp_path) -> None:
    assert pack(tmp_path / "labels", rows=[np.array([], dtype=int)] * 3).lengths.tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", ["labels.npy", "offsets.npy", "labels.json"])
def test_missing_and_cut_files_are_refused(tmp_path, name: str) -> None:
    pack(tmp_path / "labels")
    path = tmp_path / "labels" / name
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UserError, match="damaged"):
        PackedLabels.open(tmp_path / "labels")
    path.unlink()
    with pytest.raises(UserError, match=f"{name} is missing"):
        PackedLabels.open(tmp_path / "labels")


@pytest.mark.parametrize(
    "changes", [{"num_classes": "6"}, {"hash": None}, {"source": []}, {"label_rate": "fast"}, {"num_classes": 70000}]
)
def test_a_card_of_other_labels_is_refused(tmp_path, changes) -> None:
    pack(tmp_path / "labels")
    path = tmp_path / "labels/labels.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(UserError, match="damaged"):
        PackedLabels.open(tmp_path / "labels")


@pytest.mark.parametrize("rate", [50, 50.0, 12.5])
def test_whole_labels_are_told_from_others(tmp_path, rate) -> None:
    labels = pack_labels([np.array([0, 1, 2])], tmp_path / "x", num_classes=3, label_rate=rate, index_hash="abc")
    assert is_whole(labels)
    np.save(tmp_path / "x/labels.npy", np.array([0, 2, 1], np.int16))
    assert not is_whole(PackedLabels.open(tmp_path / "x"))


def test_joined_labels_follow_the_sets(tmp_path) -> None:
    pack(tmp_path / "a")
    pack(tmp_path / "b", rows=[np.array([2, 2])])
    joined = JoinedLabels.open([tmp_path / "a", tmp_path / "b"])
    assert [joined.labels(row).tolist() for row in range(len(joined))] == [[0, 4, 2], [], [3], [1, 1, 1, 1], [2, 2]]
    assert joined.lengths.tolist() == [3, 0, 1, 4, 2]
    assert pickle.loads(pickle.dumps(joined)).labels(4).tolist() == [2, 2]
    assert joined.hash != JoinedLabels.open([tmp_path / "b", tmp_path / "a"]).hash
    assert JoinedLabels.open([tmp_path / "a"]).hash == PackedLabels.open(tmp_path / "a").hash


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_classes": 6}, "6 classes, but .*a has 5"),
        ({"label_rate": 100}, "100.0 labels per second, but .*a has 50.0"),
        ({"token_list_hash": "x"}, "token list"),
        ({"source": {"kmeans_hash": "y"}}, "y as the hash of its clusters, but .*a has x"),  # K, rate and list agree
    ],
)
def test_sets_of_different_clusters_are_not_joined(tmp_path, changes: dict, message: str) -> None:
    pack(tmp_path / "a", source={"kmeans_hash": "x"})
    pack(tmp_path / "b", **changes)
    with pytest.raises(UserError, match=message):
        JoinedLabels.open([tmp_path / "a", tmp_path / "b"])


def test_labels_that_came_as_a_text_join_those_of_clusters(tmp_path) -> None:
    parts = [pack(tmp_path / "a", source={"kmeans_hash": "x"}), pack(tmp_path / "b", source={"text": "t"})]
    assert len(JoinedLabels.open([part.directory for part in parts])) == 8


def test_frames_at_half_the_label_rate_take_every_second_label() -> None:
    # methods of HuBERT: 1000 labels at 100 Hz, 499 frames at 50 Hz -> 0, 2, .., 996
    frames = frame_labels(np.arange(1000), label_rate=100, geometry=HUBERT, start_sample=0, num_frames=499)
    assert frames.dtype == np.int64
    assert frames.tolist() == list(range(0, 998, 2))
    longer = frame_labels(np.arange(1000), label_rate=100, geometry=HUBERT, start_sample=0, num_frames=501)
    assert longer.tolist() == [*range(0, 1000, 2), NO_LABEL]


@pytest.mark.parametrize(
    ("label_rate", "hop_samples"), [(50, 320), (100, 320), (100, 160), (25, 640), (50, 640), (100, 640)]
)
@pytest.mark.parametrize("start_frame", [0, 7, 60])
def test_a_crop_takes_the_labels_of_its_time(label_rate: int, hop_samples: int, start_frame: int) -> None:
    geometry = FrameGeometry(((400, hop_samples),))
    labels = np.arange(100)
    start = start_frame * hop_samples
    frames = frame_labels(labels, label_rate=label_rate, geometry=geometry, start_sample=start, num_frames=50)
    expected = [int((start / hop_samples + frame) * label_rate / geometry.frame_rate) for frame in range(50)]
    assert frames.tolist() == [label if label < 100 else NO_LABEL for label in expected]


def test_an_utterance_without_labels_has_none_at_all() -> None:
    frames = frame_labels(np.array([], dtype=np.int16), label_rate=50, geometry=HUBERT, start_sample=640, num_frames=3)
    assert frames.tolist() == [NO_LABEL] * 3
