"""Labels of several values a frame, packed, cropped and checked: codebooks, and soft labels with their weights."""

import json
import shutil

import numpy as np
import pytest
import torch
from tiny_training import LABEL_RATE, TINY_CONFIG, make_corpus

from espnet2.data.augment.signal import labels_at_speed
from espnet2.data.batch import Batch
from espnet2.data.geometry import FrameGeometry
from espnet2.data.index import AudioIndex
from espnet2.data.labels.joined import JoinedLabels
from espnet2.data.labels.packed import NO_LABEL, PackedLabels, frame_labels, pack_labels
from espnet2.data.labels.vector import VectorRow, join_codebooks, pack_vector_labels
from espnet2.data.labels.whole import is_whole
from espnet2.data.sampler import MicroBatch
from espnet2.pretrain.inputs import DataPaths, make_data, open_inputs
from espnet2.tasks.build import build, with_num_classes
from espnet2.tasks.config import load_config, resolve_config
from espnet2.train.data import plan_steps
from espnet2.utils.errors import UserError

GEOMETRY = FrameGeometry(((400, 320),))


def soft_row(count: int, *, shift: int = 0) -> VectorRow:
    """Frame t: classes t and t + 1, modulo 6, with weights 3/4 and 1/4."""
    labels = (np.arange(count)[:, None] + [0, 1] + shift) % 6
    return VectorRow(labels, np.tile(np.float32([0.75, 0.25]), (count, 1)))


def pack_soft(directory, rows, **changes):
    options = {"num_classes": 6, "width": 2, "is_soft": True, "label_rate": 50, "index_hash": "0"}
    return pack_vector_labels(iter(rows), directory, **{**options, **changes})


def test_soft_labels_on_disk(tmp_path):
    packed = pack_soft(tmp_path / "soft", [soft_row(3), soft_row(0), soft_row(2, shift=4)])
    assert (len(packed), packed.num_classes, packed.num_codebooks, packed.is_soft) == (3, 6, 1, True)
    assert packed.lengths.tolist() == [3, 0, 2]
    assert packed.labels(2).tolist() == [[4, 5], [5, 0]] and packed.first_labels(2).tolist() == [4, 5]
    assert packed.weights(0).tolist() == [[0.75, 0.25]] * 3 and packed.labels(1).shape == (0, 2)
    assert np.load(tmp_path / "soft/weights.npy").dtype == np.float32 and is_whole(packed)
    other = pack_soft(tmp_path / "other", [soft_row(3), soft_row(0), VectorRow(*soft_row(2, shift=4))])
    assert other.hash == packed.hash
    even = VectorRow(soft_row(2, shift=4).labels, np.full((2, 2), 0.5, np.float32))
    assert pack_soft(tmp_path / "even", [soft_row(3), soft_row(0), even]).hash != packed.hash


def test_codebooks_on_disk(tmp_path):
    rows = [[np.array([0, 1, 2]), np.array([3])], [np.array([5, 4, 3]), np.array([2])]]
    sets = [
        pack_labels(part, tmp_path / f"{number}", num_classes=6, label_rate=50, index_hash="0")
        for number, part in enumerate(rows)
    ]
    joined = join_codebooks(sets, tmp_path / "joined")
    assert (joined.num_codebooks, joined.is_soft, joined.num_classes, joined.label_rate) == (2, False, 6, 50)
    assert joined.labels(0).tolist() == [[0, 5], [1, 4], [2, 3]] and joined.labels(1).tolist() == [[3, 2]]
    assert is_whole(joined)
    with pytest.raises(UserError, match="one label set makes no codebooks"):
        join_codebooks(sets[:1], tmp_path / "x")
    with pytest.raises(UserError, match="has several labels a frame already"):
        join_codebooks([sets[0], joined], tmp_path / "x")
    for change, message in (
        ({"num_classes": 7}, "num_classes 7, but"),
        ({"label_rate": 100}, r"label_rate 100.0, but"),
        ({"index_hash": "1"}, "index_hash 1, but"),
    ):
        options = {"num_classes": 6, "label_rate": 50, "index_hash": "0", **change}
        other = pack_labels(rows[1], tmp_path / "other", **options)
        with pytest.raises(UserError, match=message):
            join_codebooks([sets[0], other], tmp_path / "x")
    short = pack_labels([np.array([1, 2]), np.array([2])], tmp_path / "s", num_classes=6, label_rate=50, index_hash="0")
    with pytest.raises(UserError, match=r"utterance 0 \(counted from 0\) has 2 labels, in .* 3"):
        join_codebooks([sets[0], short], tmp_path / "x")


@pytest.mark.parametrize(
    ("labels", "weights", "message"),
    [
        ([[6, 0]], [[0.5, 0.5]], "labels from 0 to 6; expected 0..5"),
        ([[-1, 0]], [[0.5, 0.5]], "labels from -1 to 0"),
        ([[1, 0]], [[0.5, 0.4]], "sums from 0.9 to 0.9; expected none below 0 and sums of 1"),
        ([[1, 0]], [[1.5, -0.5]], "weights of a frame from -0.5"),
        ([[1, 0]], [[float("nan"), 0.5]], "expected none below 0"),
        ([[1, 0]], [[0.25, 0.75]], "does not have its largest weight first"),
    ],
)
def test_what_is_no_distribution(tmp_path, labels, weights, message):
    row = VectorRow(np.array(labels), np.array(weights, np.float32))
    with pytest.raises(UserError, match=message):
        pack_soft(tmp_path / "soft", [row])
    assert not (tmp_path / "soft").exists()


def change_weights(folder):
    weights = np.load(folder / "weights.npy")
    weights[0] = [1, 0]
    np.save(folder / "weights.npy", weights)


def cut_weights(folder):
    np.save(folder / "weights.npy", np.load(folder / "weights.npy")[:-1])


def other_width(folder):
    card = json.loads((folder / "labels.json").read_text())
    (folder / "labels.json").write_text(json.dumps({**card, "width": 3}))


def plain(folder):
    card = json.loads((folder / "labels.json").read_text())
    del card["width"], card["weights_hash"]
    (folder / "labels.json").write_text(json.dumps(card))


def test_damage_is_seen(tmp_path):
    pack_soft(tmp_path / "soft", [soft_row(4)])
    for damage in (cut_weights, other_width, plain, lambda folder: (folder / "weights.npy").unlink()):
        shutil.rmtree(tmp_path / "damaged", ignore_errors=True)
        shutil.copytree(tmp_path / "soft", tmp_path / "damaged")
        damage(tmp_path / "damaged")
        with pytest.raises(UserError, match=r"damaged|no packed labels"):
            PackedLabels.open(tmp_path / "damaged")
    change_weights(tmp_path / "soft")
    assert not is_whole(PackedLabels.open(tmp_path / "soft"))


def test_labels_of_two_kinds_are_not_joined(tmp_path):
    pack_soft(tmp_path / "soft", [soft_row(4)])
    rows = [VectorRow(soft_row(4).labels)]
    pack_soft(tmp_path / "books", rows, is_soft=False)
    pack_labels([np.arange(4)], tmp_path / "plain", num_classes=6, label_rate=50, index_hash="0")
    for first, second in (("soft", "plain"), ("books", "plain"), ("soft", "books")):
        with pytest.raises(UserError, match=r"codebooks|labels are soft"):
            JoinedLabels.open([tmp_path / first, tmp_path / second])


def test_frames_of_crops_have_both_labels_and_weights():
    labels, weights = soft_row(98)
    options = {"label_rate": 100, "geometry": GEOMETRY, "start_sample": 640, "num_frames": 3}
    assert frame_labels(labels, **options).tolist() == [[4, 5], [0, 1], [2, 3]]  # of labels 4, 6 and 8, modulo 6
    assert frame_labels(weights, **options).tolist() == [[0.75, 0.25]] * 3
    ends = {**options, "start_sample": 96 // 2 * 320}
    assert frame_labels(labels, **ends).tolist() == [[0, 1], [NO_LABEL] * 2, [NO_LABEL] * 2]
    assert frame_labels(weights, **ends).tolist() == [[0.75, 0.25], [0, 0], [0, 0]]
    fast = labels_at_speed(labels, **options, speed=1.0)
    assert fast.tolist() == frame_labels(labels, **options).tolist()
    assert labels_at_speed(weights, **ends, speed=1.0)[1:].tolist() == [[0, 0], [0, 0]]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Two sets: soft labels that are one-hot, of the hard ones; and two codebooks that are the hard ones twice."""
    root = tmp_path_factory.mktemp("vector")
    loss = [{"name": "hubert", "labels": name, "conf": {"mask_span": 4, "label_dim": 8}} for name in ("soft", "books")]
    paths = make_corpus(root, loss=loss)
    for name in ("train", "valid"):
        hard, index = PackedLabels.open(root / "labels" / name), AudioIndex.open(root / "dump" / name)
        rows = [hard.labels(row) for row in range(len(hard))]
        soft = (VectorRow(np.stack([r, (r + 1) % 5], 1), np.tile(np.float32([1, 0]), (len(r), 1))) for r in rows)
        about = {"num_classes": 5, "width": 2, "label_rate": LABEL_RATE, "index_hash": index.hash}
        pack_vector_labels(soft, root / "soft" / name, is_soft=True, **about)
        join_codebooks([hard, hard], root / "books" / name)
    words = [[f"soft={root}/soft/{name}", f"books={root}/books/{name}"] for name in ("train", "valid")]
    return root, DataPaths(paths.train_sets, paths.valid_sets, *words)


def opened(corpus):
    root, paths = corpus
    config = load_config(root / "conf.yaml")
    inputs = open_inputs(config, paths)
    config = with_num_classes(config, inputs.num_classes, inputs.num_codebooks)
    torch.manual_seed(0)
    model = build(config)
    return config, model, make_data(config, inputs, model, plan_steps(config, 1))


def test_batches_and_losses_of_both_kinds(corpus):
    config, model, data = opened(corpus)
    assert [entry.conf.num_codebooks for entry in config.loss] == [1, 2]
    batch = data.valid[MicroBatch(rows=np.array([0, 2]), num_samples=22000, number=0, epoch=0)].batch
    soft, books = batch.labels_of("soft"), batch.labels_of("books")
    assert soft.shape == books.shape == (*soft.shape[:2], 2) and list(batch.label_weights) == ["soft"]
    padding = soft[..., 0] == NO_LABEL
    assert padding.any() and (batch.label_weights["soft"][padding] == 0).all()
    assert (batch.label_weights["soft"][~padding] == torch.tensor([1.0, 0.0])).all()
    assert torch.equal(soft[..., 0], books[..., 0]) and torch.equal(books[..., 0], books[..., 1])

    model.eval()
    losses = model(batch)
    hard = Batch(batch.wavs, batch.wav_lengths, None, batch.utt_ids, batch.draws, named_labels={"soft": soft[..., 0]})
    alone = model.objectives["hubert_soft"](hard)  # weights of 1 and 0 are a hard label
    assert torch.allclose(losses["hubert_soft"].terms[0].total, alone.terms[0].total, rtol=1e-6)
    assert losses["hubert_soft"].stats["masked_accuracy"].total == alone.stats["masked_accuracy"].total
    assert model.objectives["hubert_books"].head.label_embeddings.shape == (10, 8)
    for entry in ("hubert_soft", "hubert_books"):
        assert losses[entry].terms[0].count.double() == model.objectives[entry].counts(batch)["masked"]
    moved = batch.to("cpu")
    assert torch.equal(moved.label_weights["soft"], batch.label_weights["soft"])


def test_the_number_of_codebooks_is_that_of_the_labels(corpus):
    root, _ = corpus
    config = load_config(root / "conf.yaml", ["--loss.1.conf.num_codebooks", "3"])
    with pytest.raises(UserError, match=r"loss \(hubert, labels books\): num_codebooks is 3, but the labels have 2"):
        with_num_classes(config, {"soft": 5, "books": 5}, {"soft": 1, "books": 2})


@pytest.mark.parametrize(("name", "kind"), [("soft", "soft"), ("books", "of 2 codebooks")])
def test_an_objective_of_one_label_a_frame_refuses_others(corpus, name, kind):
    _, paths = corpus
    entry = {"name": "online_hubert", "labels": name, "conf": {"target_layers": [1, 2]}}
    config = resolve_config({**TINY_CONFIG, "loss": [entry]})
    inputs = open_inputs(config, paths)
    model = build(with_num_classes(config, inputs.num_classes))
    with pytest.raises(UserError, match=rf"online_hubert_{name}\): learns from one label a frame, .* that are {kind}"):
        make_data(config, inputs, model, plan_steps(config, 1))
