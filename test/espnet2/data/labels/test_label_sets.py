"""Several label sets by name: the words that name them, the batch that carries them, and what is refused."""

import numpy as np
import pytest
import torch
import yaml
from label_sets import FINE_CLASSES, TWO_SETS, add_fine_labels, named_labels, write_fine_labels
from tiny_training import NUM_CLASSES, make_corpus

from espnet2.data.batch import Batch
from espnet2.data.labels.packed import NO_LABEL, PackedLabels
from espnet2.data.labels.sets import open_label_sets, parse_label_sets
from espnet2.data.sampler import MicroBatch
from espnet2.pretrain.inputs import DataPaths, make_data, open_inputs
from espnet2.tasks.build import build, label_set_names, with_num_classes
from espnet2.tasks.config import dump_config, load_config, resolve_config
from espnet2.train.data import plan_steps
from espnet2.utils.errors import UserError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A corpus with two label sets: labels/ (5 classes, 50 a second) and fine/ (8 classes, 100 a second)."""
    root = tmp_path_factory.mktemp("sets")
    paths = make_corpus(root, loss=TWO_SETS)
    add_fine_labels(root)
    return root, named_labels(root, paths)


def opened(corpus, paths=None):
    root, given = corpus
    config = load_config(root / "conf.yaml")
    inputs = open_inputs(config, paths or given)
    config = with_num_classes(config, inputs.num_classes)
    model = build(config)
    return config, inputs, model, make_data(config, inputs, model, plan_steps(config, 1))


def test_each_entry_has_the_classes_and_the_name_of_its_labels(corpus):
    config, inputs, model, _ = opened(corpus)
    assert label_set_names(config) == ("coarse", "fine") and inputs.num_classes == {"coarse": 5, "fine": 8}
    assert list(model.objectives) == ["hubert_coarse", "hubert_fine"]
    assert model.objectives["hubert_coarse"].head.label_embeddings.shape == (NUM_CLASSES, 8)
    assert model.objectives["hubert_fine"].head.label_embeddings.shape == (FINE_CLASSES, 8)
    assert inputs.hashes()["train_labels"] == {
        name: PackedLabels.open(corpus[0] / folder / "train").hash
        for name, folder in {"coarse": "labels", "fine": "fine"}.items()
    }


def test_a_batch_has_the_labels_of_every_set(corpus):
    root, _ = corpus
    *_, data = opened(corpus)
    batch = data.valid[MicroBatch(rows=np.array([1, 3]), num_samples=20000, number=0, epoch=0)].batch
    assert batch.labels is None and list(batch.named_labels) == ["coarse", "fine"]
    frames = [(int(length) - 400 - 160) // 320 + 1 for length in batch.wav_lengths]
    coarse = PackedLabels.open(root / "labels/valid")
    for position, row in enumerate([1, 3]):
        start = batch.labels_of("fine")[position, 0].item() - row  # of the crop, in labels of 100 a second, modulo 8
        expected = [(row + start + 2 * frame) % FINE_CLASSES for frame in range(frames[position])]
        assert batch.labels_of("fine")[position, : frames[position]].tolist() == expected
        assert (batch.labels_of("fine")[position, frames[position] :] == NO_LABEL).all()
        if batch.wav_lengths[position] < 20000:  # not cropped
            assert (
                batch.labels_of("coarse")[position, : frames[position]].tolist()
                == list(coarse.labels(row))[: frames[position]]
            )
    moved = batch.to("cpu")
    assert torch.equal(moved.labels_of("fine"), batch.labels_of("fine"))
    with pytest.raises(TypeError, match="without labels other"):
        batch.labels_of("other")


def test_the_losses_are_those_of_each_set_alone(corpus):
    _, _, model, data = opened(corpus)
    batch = data.valid[MicroBatch(rows=np.array([0, 2]), num_samples=16000, number=0, epoch=0)].batch
    model.eval()
    losses = model(batch)
    for name, entry in (("coarse", "hubert_coarse"), ("fine", "hubert_fine")):
        objective = model.objectives[entry]
        swapped = Batch(batch.wavs, batch.wav_lengths, None, batch.utt_ids, batch.draws, named_labels={
            name: batch.labels_of(name)
        })  # fmt: skip
        alone = objective(swapped)
        assert torch.equal(alone.terms[0].total, losses[entry].terms[0].total)
        assert torch.equal(objective.counts(batch)["masked"], losses[entry].terms[0].count.double())
    assert losses["hubert_coarse"].terms[0].total != losses["hubert_fine"].terms[0].total


def test_an_utterance_that_one_set_lacks_counts_for_the_other(corpus):
    root, paths = corpus
    write_fine_labels(root, "valid", missing="valid-002", folder="lacking")
    _, _, model, data = opened(corpus, named_labels(root, paths, fine_valid="lacking"))
    batch = data.valid[MicroBatch(rows=np.array([2]), num_samples=9600, number=0, epoch=0)].batch
    assert (batch.labels_of("fine") == NO_LABEL).all() and (batch.labels_of("coarse") != NO_LABEL).any()
    losses = model(batch)
    assert losses["hubert_fine"].terms[0].count == 0 and losses["hubert_fine"].terms[0].total == 0
    assert losses["hubert_coarse"].terms[0].count > 0


def test_words_without_names_beside_some_with():
    assert parse_label_sets([], "--train_labels") == {}
    assert parse_label_sets(["a/b=c"], "--train_labels") == {"": ["a/b=c"]}  # a folder, not a name
    with pytest.raises(UserError, match="--train_labels: dump/b has no name, but other label folders have"):
        parse_label_sets(["km=dump/a", "dump/b"], "--train_labels")


def test_sets_that_are_not_given(corpus):
    root, paths = corpus
    train, valid = paths.train_labels, paths.valid_labels
    with pytest.raises(UserError, match="trains on the labels other, but --train_labels gives coarse, fine; write oth"):
        open_label_sets(train, valid, ["other"])
    with pytest.raises(UserError, match="the labels fine, but --valid_labels gives coarse;"):
        open_label_sets(train, valid[:1], ["coarse", "fine"])
    with pytest.raises(UserError, match="the labels fine, but --train_labels gives one set without a name"):
        open_label_sets([f"{root}/labels/train"], [f"{root}/labels/valid"], ["fine"])
    with pytest.raises(UserError, match=r"gives the label sets coarse, fine, but a loss .* labels: coarse"):
        open_label_sets(train, valid, [""])
    swapped = [f"coarse={root}/labels/valid", f"fine={root}/labels/valid"]
    with pytest.raises(UserError, match=r"has 5 classes, but .* has 8"):
        open_label_sets(train, swapped, ["coarse", "fine"])


def test_every_set_passes_every_check(corpus):
    root, paths = corpus
    write_fine_labels(root, "train", index_hash="0" * 16, folder="foreign")
    for name in ("train", "valid"):
        write_fine_labels(root, name, rate=25, folder="slow")
    with pytest.raises(UserError, match="packed for another index"):
        opened(corpus, named_labels(root, paths, fine="foreign", fine_valid="fine"))
    with pytest.raises(UserError, match="25 labels per second, but the model makes 50 frames"):
        opened(corpus, named_labels(root, paths, fine="slow"))


def test_sets_that_no_loss_needs_are_left_aside(corpus):
    root, paths = corpus
    words = [[*given, f"more={root}/nothing"] for given in (paths.train_labels, paths.valid_labels)]
    inputs = open_inputs(load_config(root / "conf.yaml"), DataPaths(paths.train_sets, paths.valid_sets, *words))
    assert inputs.unused_labels == ("more",) and list(inputs.train_labels) == ["coarse", "fine"]


def test_configs_with_label_sets():
    entry = {"name": "hubert", "labels": "km100"}
    config = resolve_config(
        {"loss": [entry, {**entry, "labels": "km500"}, entry, {"name": "wavlm", "labels": "km100"}]}
    )
    assert list(config.entries()) == ["hubert_km100", "hubert_km500", "hubert_km100_2", "wavlm_km100"]
    assert config == resolve_config(yaml.safe_load(dump_config(config)))
    assert [value.labels for value in config.loss] == ["km100", "km500", "km100", "km100"]
    counted = with_num_classes(config, {"km100": 100, "km500": 500})
    assert [value.conf.num_classes for value in counted.loss] == [100, 500, 100, 100]
    wrong = resolve_config({"loss": [{**entry, "conf": {"num_classes": 50}}]})
    with pytest.raises(UserError, match=r"loss \(hubert, labels km100\): num_classes is 50, but the labels have 100"):
        with_num_classes(wrong, {"km100": 100})
    for labels, message in (("1", "a letter, then"), ("a b", "a letter, then"), ("a.b", "a letter, then")):
        with pytest.raises(UserError, match=message):
            resolve_config({"loss": [{**entry, "labels": labels}]})
    with pytest.raises(UserError, match="best_rq trains on no labels; leave 'labels: km100' out"):
        resolve_config({"frontend": "fbank", "loss": [{"name": "best_rq", "labels": "km100"}]})
    twice = [{**entry, "labels": "a"}, {**entry, "labels": "a"}, {**entry, "labels": "a_2"}]
    with pytest.raises(UserError, match="two entries are called hubert_a_2"):
        resolve_config({"loss": twice}).entries()


def test_a_config_without_label_sets_is_written_as_ever():
    config = resolve_config({"loss": [{"name": "hubert"}, {"name": "hubert"}]})
    assert list(config.entries()) == ["hubert", "hubert_2"]
    assert "labels" not in dump_config(config)
