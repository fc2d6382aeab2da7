"""The steps of the user's document, typed as they stand: labels made by hubert1, copied by hand, trained on by ssl1.

The document is espnet's README of ssl1; its sets, layer and number of clusters are here those of the smoke recipe. The
tests are its steps: each needs those before it.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from recipe_folders import KMEANS, MODELS, refuse, set_up_recipe, succeed

from espnet2.data.labels.packed import PackedLabels

SETS = ("train_smoke", "dev_smoke")
TOKEN_LIST = "../hubert1/data/en_token_list_kmeans_iter1_espnet_hubert_20clusters/word/tokens.txt"
PSEUDO_LABELS = "../hubert1/dump/ssl_feats/espnet_hubert/layer_1/{}/pseudo_labels_km20.txt"

MEANT_LOSS = """\
loss:
    - name: hubert
      conf:
          num_classes: 20
"""
# As the document has it: its indentation was lost.
VERBATIM_LOSS = """\
loss:
    - name: hubert
    conf:
    num_classes: 20
"""


def write_config(recipe: Path, loss: str) -> None:
    """conf/train_hubert_smoke.yaml of ssl1 with this `loss:` block."""
    text = (recipe / "hubert1/conf/train_hubert_smoke.yaml").read_text()
    first, last = text.index("loss:"), text.index("optim:")
    (recipe / "ssl1/conf/train_hubert_smoke.yaml").write_text(text[:first] + loss + text[last:])


@pytest.fixture(scope="module")
def document(module_recipe: Path) -> Path:
    """hubert1 with a trained iteration 0, and an ssl1 recipe made by setup.sh with its data formatted."""
    hubert1, ssl1 = module_recipe / "hubert1", module_recipe / "ssl1"
    for made in (f"exp/smoke/kmeans/{KMEANS[1]}", f"exp/smoke/{MODELS[1]}", "dump/ssl_feats/espnet_hubert"):
        shutil.rmtree(hubert1 / made)
    shutil.rmtree(hubert1 / "data/en_token_list_kmeans_iter1_espnet_hubert_20clusters")
    shutil.rmtree(ssl1)
    made = set_up_recipe("ssl1", ssl1)
    assert made.returncode == 0, made.stdout
    assert (ssl1 / "local").samefile(hubert1 / "local")
    script = (ssl1 / "run.sh").read_text()
    for old, new in (
        ("train_set=train ", "train_set=train_smoke "),
        ("valid_set=dev", "valid_set=dev_smoke"),
        ("conf/train_hubert_base.yaml", "conf/train_hubert_smoke.yaml"),
        ("--ngpu 1", '--ngpu 0 --local_data_opts "--smoke true"'),
    ):
        assert script.count(old) == 1
        script = script.replace(old, new)
    (ssl1 / "run.sh").write_text(script)
    write_config(module_recipe, MEANT_LOSS)
    succeed(ssl1, "./run.sh", "--stop_stage", "4")
    return module_recipe


def test_step_1_makes_both_files_for_one_iteration(document: Path) -> None:
    """Run `hubert1/hubert.sh` from stages 1 to 5 for a single iteration."""
    hubert1 = document / "hubert1"
    call = (hubert1 / "smoke.sh").read_text()
    assert "./run.sh" in call and "./hubert1.sh" in (hubert1 / "run.sh").read_text()
    (hubert1 / "run.sh").write_text((hubert1 / "run.sh").read_text().replace("./hubert1.sh", "./hubert.sh"))
    output = succeed(hubert1, "./smoke.sh", "--train_start_iter", "1", "--stage", "1", "--stop_stage", "5")
    assert "stage 5: iteration 1: espnet_hubert" in output and "stage 6" not in output
    tokens = (document / "ssl1" / TOKEN_LIST).read_text()
    assert tokens == "".join(f"{number}\n" for number in range(20))
    for dset in SETS:
        lines = (document / "ssl1" / PSEUDO_LABELS.format(dset)).read_text().splitlines()
        utterances = (hubert1 / "dump" / dset / "wav.scp").read_text().splitlines()
        assert [line.split()[0] for line in lines] == [line.split()[0] for line in utterances]
        assert {unit for line in lines for unit in line.split()[1:]} <= set(tokens.split())


def test_step_2_copies_the_labels(document: Path) -> None:
    """cp hubert1/dump/ssl_feats/espnet_hubert/layer_<x>/train_ssl/pseudo_labels_km<K>.txt ssl1/dump/train_ssl/text"""
    for dset in SETS:
        labels = PSEUDO_LABELS.format(dset).removeprefix("../")
        succeed(document, "cp", labels, f"ssl1/dump/{dset}/text")
        assert not (document / f"ssl1/dump/{dset}/text").is_symlink()


def test_step_3_adds_two_flags_to_run_sh(document: Path) -> None:
    """In `ssl1/run.sh`, add `--token_type word` and `--token_list <path to token list from step 1.1>`."""
    ssl1 = document / "ssl1"
    script = (ssl1 / "run.sh").read_text()
    flags = f"    --token_type word \\\n    --token_list {TOKEN_LIST} \\\n"
    (ssl1 / "run.sh").write_text(script.replace('    "$@"', flags + '    "$@"'))
    output = succeed(ssl1, "./run.sh", "--stage", "5", "--stop_stage", "6")
    assert "50 labels per second (found from the counts)" in output
    for dset in SETS:
        packed = PackedLabels.open(ssl1 / "dump/packed_labels/text" / dset)
        assert packed.num_classes == 20 and packed.label_rate == 50
        lines = (ssl1 / f"dump/{dset}/text").read_text().splitlines()
        assert [packed.labels(row).tolist() for row in range(len(packed))] == [
            [int(unit) for unit in line.split()[1:]] for line in lines
        ]


def test_step_4_verbatim_shows_the_meant_form(document: Path) -> None:
    write_config(document, VERBATIM_LOSS)
    output = refuse(document / "ssl1", "./run.sh", "--stage", "7", "--stop_stage", "7")
    assert "'loss' is not a list of entries whose keys are indented below them" in output
    shown = [line[4:] for line in output.splitlines()]  # the log of a failed job is shown indented
    first = shown.index("    loss:")
    assert shown[first + 1 : first + 5] == [
        "        - name: hubert",
        "          weight: 1.0",
        "          conf:",
        "              num_classes: 500",
    ]
    assert not (document / "ssl1/exp/ssl_hubert_smoke/checkpoints").exists()
    write_config(document, MEANT_LOSS)


def test_step_4_with_another_number_of_clusters_is_refused(document: Path) -> None:
    write_config(document, MEANT_LOSS.replace("20", "500"))
    output = refuse(document / "ssl1", "./run.sh", "--stage", "7", "--stop_stage", "7")
    assert "num_classes is 500, but the labels have 20 classes" in output
    write_config(document, MEANT_LOSS)


def test_then_it_trains(document: Path) -> None:
    succeed(document / "ssl1", "./run.sh", "--stage", "5", "--stop_stage", "7")
    experiment = document / "ssl1/exp/ssl_hubert_smoke"
    assert json.loads((experiment / "train.done").read_text())["updates"] == 20
    assert "num_classes: 20" in (experiment / "config.yaml").read_text()


def test_pseudo_labels_is_the_same_in_one_option(document: Path) -> None:
    ssl1 = document / "ssl1"
    options = ["--stage", "5", "--stop_stage", "5", "--pseudo_labels", "../hubert1/exp/smoke"]
    output = refuse(ssl1, "./run.sh", *options)
    assert "two sources of labels" in output
    succeed(ssl1, "./run.sh", *options, "--token_type", "", "--token_list", "")
    for dset in SETS:
        by_hand = PackedLabels.open(ssl1 / "dump/packed_labels/text" / dset)
        imported = PackedLabels.open(ssl1 / "dump/packed_labels" / KMEANS[1] / dset)
        assert np.array_equal(by_hand.flat, imported.flat) and np.array_equal(by_hand.offsets, imported.offsets)
        assert (by_hand.num_classes, by_hand.label_rate, by_hand.hash) == (
            imported.num_classes, imported.label_rate, imported.hash
        )  # fmt: skip


def test_a_token_list_of_espnet_is_mapped_by_its_order(document: Path) -> None:
    """Ordered by frequency, with the special symbols, which are no classes."""
    ssl1 = document / "ssl1"
    symbols = [str(number) for number in range(19, -1, -1)]
    (ssl1 / "data/tokens.txt").write_text("\n".join(["<blank>", "<unk>", *symbols, "<sos/eos>"]) + "\n")
    succeed(ssl1, "./run.sh", "--stage", "5", "--stop_stage", "5", "--token_list", "data/tokens.txt")
    packed = PackedLabels.open(ssl1 / "dump/packed_labels/text/train_smoke")
    assert packed.num_classes == 20
    line = (ssl1 / "dump/train_smoke/text").read_text().splitlines()[3]
    assert packed.labels(3).tolist() == [19 - int(unit) for unit in line.split()[1:]]
