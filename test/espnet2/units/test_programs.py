"""The programs from sets to labels: results, resuming, refusals, and independence of the number of jobs."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from kmeans_programs import label, learn
from safetensors.torch import load_file, save_file
from tiny_units import run_program, write_experiment

from espnet2.data.index import AudioIndex
from espnet2.data.labels.packed import PackedLabels
from espnet2.data.waveform import load_wav
from espnet2.units.card import load_kmeans, read_card
from espnet2.units.features import MfccFeatures
from espnet2.units.kmeans import assign
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import read_table


@pytest.fixture(scope="module")
def mfcc_kmeans(corpus, tmp_path_factory) -> Path:
    kmeans = tmp_path_factory.mktemp("kmeans") / "iter0_mfcc_km6"
    torch.set_num_threads(1)
    learn(corpus, kmeans)
    return kmeans


def test_a_kmeans_folder_says_what_it_is(corpus, mfcc_kmeans):
    centroids, card, projection = load_kmeans(mfcc_kmeans)
    assert projection is None
    assert centroids.shape == (6, 39) and torch.isfinite(centroids).all()
    assert (card.feature, card.layer, card.label_rate, card.seed) == ("mfcc", 0, 100.0, 0)
    assert card.index_hash == AudioIndex.open(corpus / "dump/train").hash
    assert (mfcc_kmeans / "tokens.txt").read_text() == "0\n1\n2\n3\n4\n5\n"
    assert card.hash and card.inertia > 0


@pytest.mark.parametrize("options", [[], ["--portion", 0.4], ["--max_frames", 150]])
def test_the_number_of_jobs_changes_nothing(corpus, tmp_path, options):
    for num_jobs in (1, 3):
        learn(corpus, tmp_path / f"km{num_jobs}", *options, num_jobs=num_jobs)
        label(tmp_path / f"km{num_jobs}", corpus / "dump/dev", num_jobs=num_jobs)
    for name in ("centroids.safetensors", "card.json", "labels/dev.txt", "labels/dev/labels.npy"):
        assert (tmp_path / "km1" / name).read_bytes() == (tmp_path / "km3" / name).read_bytes(), name


def test_labels_are_the_nearest_centroids_in_the_order_of_the_index(corpus, mfcc_kmeans):
    packed = label(mfcc_kmeans, corpus / "dump/dev", num_jobs=2)
    index = AudioIndex.open(corpus / "dump/dev")
    centroids, card, _ = load_kmeans(mfcc_kmeans)
    text = read_table(mfcc_kmeans / "labels/dev.txt")
    assert list(text) == [index.utt_id(row) for row in range(len(index))]
    assert (packed.num_classes, packed.label_rate, packed.index_hash) == (6, 100.0, index.hash)
    assert packed.card["source"]["kmeans_hash"] == card.hash
    for row in range(len(index)):
        (features,) = MfccFeatures(16000).extract([load_wav(index, row, normalize=False)])
        expected = assign(features[0], centroids).tolist()
        assert packed.labels(row).tolist() == expected
        assert text[index.utt_id(row)] == " ".join(map(str, expected))
    assert not list((mfcc_kmeans / "labels").glob(".*"))


def test_finished_work_is_kept_and_anything_else_is_refused(corpus, mfcc_kmeans, capsys):
    sample = ["--dump_sets", corpus / "dump/train"]
    assert run_program("ssl_learn_kmeans", *sample, "--num_clusters", 6, "--check", mfcc_kmeans) == 0
    assert "kept" in capsys.readouterr().err
    assert run_program("ssl_learn_kmeans", *sample, "--num_clusters", 6, "--check", mfcc_kmeans.parent / "x") == 3
    for options, message in (
        (["--num_clusters", 7], "num_clusters 6, not 7"),
        (["--num_clusters", 6, "--seed", 1], "seed 0, not 1"),
        (["--num_clusters", 6, "--portion", 0.5], "portion 1.0, not 0.5"),
    ):
        with pytest.raises(UserError, match=message):
            run_program("ssl_learn_kmeans", *sample, *options, "--check", mfcc_kmeans)
    with pytest.raises(UserError, match="index_hash"):
        words = ["--dump_sets", corpus / "dump/dev", "--num_clusters", 6, mfcc_kmeans]
        run_program("ssl_learn_kmeans", *words)
    with pytest.raises(UserError, match="num_clusters 6, not 8"):
        run_program("ssl_kmeans_labels", "--num_clusters", 8, mfcc_kmeans, corpus / "dump/dev")


def test_a_finished_shard_of_labels_is_kept_until_the_clusters_change(corpus, mfcc_kmeans, tmp_path, capsys):
    kmeans = tmp_path / "km"
    learn(corpus, kmeans, num_clusters=5)
    words = ["--job", 1, "--num_jobs", 2, kmeans, corpus / "dump/train"]
    run_program("ssl_kmeans_labels", *words)
    part = kmeans / "labels" / ".train.parts" / "labels.1.txt"
    before = part.stat().st_mtime_ns
    run_program("ssl_kmeans_labels", *words)
    assert part.stat().st_mtime_ns == before and "finished before, kept" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"labels.2.txt: missing.*--job 2 --num_jobs 2"):
        run_program("ssl_kmeans_labels", "--merge", "--num_jobs", 2, kmeans, corpus / "dump/train")
    assert not (kmeans / "labels/train.txt").exists() and not (kmeans / "labels/train").exists()
    for name in ("centroids.safetensors", "card.json"):
        (kmeans / name).write_bytes((mfcc_kmeans / name).read_bytes())
    run_program("ssl_kmeans_labels", *words)
    assert part.stat().st_mtime_ns != before


def permuted(folder: Path) -> None:
    values = load_file(folder / "centroids.safetensors")["centroids"]
    save_file({"centroids": values.flip(0).contiguous()}, folder / "centroids.safetensors")


def not_numbers(folder: Path) -> None:
    values = load_file(folder / "centroids.safetensors")["centroids"]
    values[0, 0] = float("nan")
    save_file({"centroids": values}, folder / "centroids.safetensors")


def with_card(**changes: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        (folder / "card.json").write_text(json.dumps({**json.loads((folder / "card.json").read_text()), **changes}))

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (permuted, "are not the centroids that card"),
        (not_numbers, "nan or inf"),
        (with_card(teacher_hash="0" * 16), "are not the centroids that card"),
        (with_card(layer="2"), "has '2' as layer"),
        (with_card(num_passes=None), "has None as num_passes"),
        (with_card(more=1), "unknown more"),
        (lambda folder: (folder / "card.json").write_text("[1]"), "expected a JSON object: restore"),
        (lambda folder: (folder / "card.json").write_bytes(b"\xff{"), "damaged"),
    ],
)
def test_clusters_that_are_not_those_of_their_card_label_nothing(corpus, mfcc_kmeans, tmp_path, damage, message):
    kmeans = tmp_path / "km"
    shutil.copytree(mfcc_kmeans, kmeans, ignore=shutil.ignore_patterns("labels"))
    damage(kmeans)
    with pytest.raises(UserError, match=message):
        label(kmeans, corpus / "dump/dev")


def test_labels_of_a_model_layer(corpus, experiment, tmp_path, capsys):
    kmeans = tmp_path / "iter1_espnet_hubert_l2_km6"
    options = ["--feature", "espnet_hubert", "--layer", 2, "--model", experiment]
    learn(corpus, kmeans, *options)
    card = read_card(kmeans)
    assert (card.layer, card.label_rate, card.dim) == (2, 50.0, 16)
    assert card.convention == "layer output after residual"
    packed = label(kmeans, corpus / "dump/dev")
    index = AudioIndex.open(corpus / "dump/dev")
    expected = [(length - 400 - 160) // 320 + 1 for length in index.num_samples.tolist()]
    assert packed.lengths.tolist() == expected
    assert "classes used, perplexity" in capsys.readouterr().err
    assert run_program("ssl_kmeans_labels", "--check", kmeans, corpus / "dump/dev") == 0
    assert run_program("ssl_kmeans_labels", "--check", kmeans, corpus / "dump/train") == 3

    with pytest.raises(UserError, match="layer 2, not 1"):
        changed = ["--feature", "espnet_hubert", "--layer", 1, "--model", experiment]
        run_program("ssl_learn_kmeans", "--dump_sets", corpus / "dump/train", *changed, "--num_clusters", 6, kmeans)
    with pytest.raises(UserError, match="no layer 9; its layers are 1, 2"):
        learn(corpus, tmp_path / "l9", "--feature", "espnet_hubert", "--layer", 9, "--model", experiment)

    write_experiment(experiment, seed=1)  # trained on: other weights under the same name
    with pytest.raises(UserError, match=r"was learned on .* with weights .*; labels of both do not mix"):
        run_program("ssl_kmeans_labels", kmeans, corpus / "dump/train")
    with pytest.raises(UserError, match="teacher_hash"):
        run_program("ssl_learn_kmeans", "--dump_sets", corpus / "dump/train", *options, "--num_clusters", 6, kmeans)


def test_damaged_folders_are_named(corpus, mfcc_kmeans, tmp_path):
    with pytest.raises(UserError, match=r"no finished k-means \(card.json is missing\)"):
        run_program("ssl_kmeans_labels", tmp_path, corpus / "dump/dev")
    for name in ("centroids.safetensors", "card.json"):
        (tmp_path / name).write_bytes((mfcc_kmeans / name).read_bytes())
    (tmp_path / "centroids.safetensors").write_bytes((mfcc_kmeans / "centroids.safetensors").read_bytes()[:100])
    with pytest.raises(UserError, match="cannot be read"):
        run_program("ssl_kmeans_labels", tmp_path, corpus / "dump/dev")
    card = json.loads((mfcc_kmeans / "card.json").read_text())
    (tmp_path / "card.json").write_text(json.dumps({**card, "format_version": 0}))
    with pytest.raises(UserError, match="format version 0"):
        run_program("ssl_kmeans_labels", tmp_path, corpus / "dump/dev")


def test_options_that_make_no_sense(corpus, tmp_path):
    sample = ["--dump_sets", corpus / "dump/train"]
    with pytest.raises(UserError, match="--num_clusters 1"):
        run_program("ssl_learn_kmeans", *sample, "--num_clusters", 1, tmp_path / "km")
    with pytest.raises(UserError, match="--features_dir is required"):
        run_program("ssl_learn_kmeans", *sample, "--num_clusters", 5, tmp_path / "km")
    with pytest.raises(UserError, match="frames cannot make 90000 clusters"):
        learn(corpus, tmp_path / "km", num_clusters=90000)
    assert not (tmp_path / "km/card.json").exists()


def test_several_training_sets_are_one_sample(corpus, tmp_path):
    sets = f"{corpus / 'dump/train'} {corpus / 'dump/dev'}"
    sample = ["--dump_sets", sets, "--output_dir", tmp_path]
    run_program("ssl_dump_features", *sample)
    frames = np.load(tmp_path / "features.1.npy")
    totals = [
        ((np.asarray(AudioIndex.open(corpus / f"dump/{name}").num_samples) - 400) // 160 + 1).sum()
        for name in ("train", "dev")
    ]
    assert frames.shape == (sum(totals), 39)


def test_unit_quality_program(corpus, mfcc_kmeans, tmp_path, capsys):
    label(mfcc_kmeans, corpus / "dump/dev")
    words = ["--labels", mfcc_kmeans / "labels/dev.txt", "--label_rate", 100, "--frame_rate", 50]
    phones = ["--phones", corpus / "dump/dev/phones.ctm", "--json", tmp_path / "quality.json"]
    run_program("ssl_unit_quality", *words, *phones)
    assert "phone purity" in capsys.readouterr().out
    quality = json.loads((tmp_path / "quality.json").read_text())
    index = AudioIndex.open(corpus / "dump/dev")
    frames = [-(-((length - 400) // 160 + 1) // 2) for length in index.num_samples.tolist()]
    assert quality["num_frames"] == sum(frames) and 0 <= quality["pnmi"] <= 1


def test_labels_in_bfloat16_say_how_many_are_those_of_float32(corpus, tmp_path, capsys):
    experiment, kmeans, dev = tmp_path / "exp", tmp_path / "km", corpus / "dump/dev"
    write_experiment(experiment)
    learn(corpus, kmeans, "--feature", "espnet_hubert", "--layer", 1, "--model", experiment)
    exact = label(kmeans, dev)
    bfloat16 = ["--dtype", "bfloat16", kmeans, dev]
    assert run_program("ssl_kmeans_labels", "--check", *bfloat16) == 3, "labels of float32 are no labels of bfloat16"
    capsys.readouterr()
    assert run_program("ssl_kmeans_labels", *bfloat16) == 0
    told = re.search(r"bfloat16: ([\d.]+) % of the units of ([\d,]+) frames", capsys.readouterr().err)
    (kmeans / "labels/dev.txt").unlink()
    with pytest.raises(UserError, match="with another --dtype"):
        run_program("ssl_kmeans_labels", "--merge", kmeans, dev)
    assert run_program("ssl_kmeans_labels", "--merge", *bfloat16) == 0
    coarse = PackedLabels.open(kmeans / "labels/dev")
    assert coarse.card["source"]["dtype"] == "bfloat16"
    pairs = [(exact.labels(row), coarse.labels(row)) for row in range(len(exact))]
    alike = np.concatenate([ours == theirs for ours, theirs in pairs])
    assert float(told[1]) == pytest.approx(100 * alike.mean(), abs=0.006) and float(told[1]) > 80
    assert int(told[2].replace(",", "")) == len(alike)


@pytest.mark.parametrize(("dtype", "message"), [("tf32", "is of GPUs"), ("bfloat16", "MFCC are computed in float32")])
def test_a_type_that_cannot_be_is_refused(corpus, mfcc_kmeans, tmp_path, dtype, message):
    kmeans = mfcc_kmeans
    if dtype == "tf32":
        write_experiment(tmp_path / "exp")
        kmeans = tmp_path / "km"
        learn(corpus, kmeans, "--feature", "espnet_hubert", "--layer", 1, "--model", tmp_path / "exp")
    with pytest.raises(UserError, match=message):
        run_program("ssl_kmeans_labels", "--dtype", dtype, kmeans, corpus / "dump/dev")
