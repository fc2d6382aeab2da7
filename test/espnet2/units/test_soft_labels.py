"""Soft labels of a k-means: weights by hand, the same for any number of jobs, and refused when they do not fit."""

import math

import numpy as np
import pytest
import torch
from kmeans_programs import label, learn
from tiny_units import run_program

from espnet2.data.index import AudioIndex
from espnet2.data.labels.packed import PackedLabels
from espnet2.data.labels.whole import is_whole
from espnet2.data.waveform import load_wav
from espnet2.units.card import load_kmeans
from espnet2.units.features import MfccFeatures
from espnet2.units.soft_labels import soften
from espnet2.utils.errors import UserError


def test_weights_by_hand():
    squared = torch.tensor([[math.log(2), 0.0, math.log(4)], [5.0, 5.0, 5.0]])
    labels, weights = soften(squared, temperature=1.0, top_k=2)
    assert labels.tolist() == [[1, 0], [0, 1]]  # of equals, the lowest numbers
    assert weights.tolist() == [pytest.approx([2 / 3, 1 / 3]), pytest.approx([0.5, 0.5])]
    _, whole = soften(squared, temperature=1.0, top_k=3)
    assert whole[0].tolist() == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    _, warm = soften(squared, temperature=2.0, top_k=2)
    assert warm[0].tolist() == pytest.approx([math.sqrt(2) / (1 + math.sqrt(2)), 1 / (1 + math.sqrt(2))])
    _, cold = soften(1e6 * squared, temperature=1e-3, top_k=2)
    assert cold[0].tolist() == [1.0, 0.0]


@pytest.fixture(scope="module")
def kmeans(corpus, tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("kmeans") / "iter0_mfcc_utterance-mean_smooth3_km6"
    learn(corpus, folder, "--normalize", "utterance-mean", "--smooth_frames", 3)
    return folder


WORDS = ["--temperature", 50, "--top_k", 3]


def test_the_nearest_clusters_of_the_changed_features(corpus, kmeans, tmp_path, capsys):
    run_program("ssl_soft_labels", *WORDS, kmeans, corpus / "dump/dev", tmp_path / "soft/dev")
    assert "nearest clusters: " in capsys.readouterr().err
    packed, hard = PackedLabels.open(tmp_path / "soft/dev"), label(kmeans, corpus / "dump/dev")
    index, loaded = AudioIndex.open(corpus / "dump/dev"), load_kmeans(kmeans)
    assert packed.is_soft and is_whole(packed) and packed.kmeans_hash == loaded.card.hash
    assert (packed.num_classes, packed.label_rate, packed.index_hash) == (6, 100.0, index.hash)
    for row in range(len(index)):
        assert packed.first_labels(row).tolist() == hard.labels(row).tolist()
    (features,) = MfccFeatures(16000).extract([load_wav(index, 1, normalize=False)])
    frames = (features[0] - features[0].double().mean(0).float()).double()
    frame = frames[9:12].mean(0)  # smoothed, the tenth
    squared = (loaded.centroids.double() - frame).square().sum(1)
    order = squared.argsort()[:3]
    expected = (-squared[order] / 50).softmax(0)
    assert packed.labels(1)[10].tolist() == order.tolist()
    assert packed.weights(1)[10].tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    assert not list((tmp_path / "soft").glob(".*"))
    run_program("ssl_soft_labels", *WORDS, kmeans, corpus / "dump/dev", tmp_path / "soft/dev")
    assert "finished before, kept" in capsys.readouterr().err


def test_the_number_of_jobs_changes_nothing(corpus, kmeans, tmp_path, capsys):
    run_program("ssl_soft_labels", *WORDS, kmeans, corpus / "dump/train", tmp_path / "one")
    words = [kmeans, corpus / "dump/train", tmp_path / "three"]
    for job in (1, 2):
        run_program("ssl_soft_labels", *WORDS, "--job", job, "--num_jobs", 3, *words)
    with pytest.raises(UserError, match=r"three.parts/3: missing, .* --job 3 --num_jobs 3 again"):
        run_program("ssl_soft_labels", *WORDS, "--merge", "--num_jobs", 3, *words)
    capsys.readouterr()
    run_program("ssl_soft_labels", *WORDS, "--job", 2, "--num_jobs", 3, *words)
    assert "shard 2 of 3: finished before, kept" in capsys.readouterr().err
    run_program("ssl_soft_labels", *WORDS, "--job", 3, "--num_jobs", 3, *words)
    run_program("ssl_soft_labels", *WORDS, "--merge", "--num_jobs", 3, *words)
    for name in ("labels.npy", "weights.npy", "offsets.npy", "labels.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "three" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--temperature", 0], "--temperature 0.0: expected a number above 0"),
        (["--temperature", -1], "--temperature -1.0"),
        (["--temperature", "nan"], "--temperature nan"),
        (["--temperature", 1, "--top_k", 0], "--top_k 0: expected at least one class"),
        (["--temperature", 1, "--top_k", 7], "--top_k 7: .* has only 6 clusters"),
    ],
)
def test_options_that_make_no_sense(corpus, kmeans, tmp_path, words, message):
    with pytest.raises(UserError, match=message):
        run_program("ssl_soft_labels", *words, kmeans, corpus / "dump/dev", tmp_path / "soft")
    assert not (tmp_path / "soft").exists()


def test_other_options_make_other_labels(corpus, kmeans, tmp_path):
    hashes = set()
    for words in (WORDS, ["--temperature", 60, "--top_k", 3], ["--temperature", 50, "--top_k", 6]):
        run_program("ssl_soft_labels", *words, kmeans, corpus / "dump/dev", tmp_path / "soft")
        packed = PackedLabels.open(tmp_path / "soft")
        hashes.add(packed.hash)
        assert np.allclose(packed.flat_weights.sum(1), 1, atol=1e-6)
    assert len(hashes) == 3


def test_codebooks_are_joined_by_a_program(corpus, kmeans, tmp_path, capsys):
    first = label(kmeans, corpus / "dump/dev")
    learn(corpus, tmp_path / "other", "--seed", 1)
    second = label(tmp_path / "other", corpus / "dump/dev")
    run_program("ssl_join_labels", first.directory, second.directory, "--output", tmp_path / "both")
    joined = PackedLabels.open(tmp_path / "both")
    assert joined.labels(0).tolist() == [list(pair) for pair in zip(first.labels(0), second.labels(0), strict=True)]
    assert "2 codebooks of 6 classes, 100 labels per second" in capsys.readouterr().err
