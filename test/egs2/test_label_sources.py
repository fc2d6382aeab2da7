"""The label options of ssl1.sh in; k-means, packed folders and the words of ssl_train out, of one or several sets."""

import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def recipe(root: Path, tmp_path: Path) -> Path:
    """A recipe beside a hubert1 with two finished k-means of iteration 0 and one of iteration 1."""
    folder = tmp_path / "ssl1"
    folder.mkdir()
    (folder / "scripts").symlink_to(root / "egs2/TEMPLATE/ssl1/scripts")
    (folder / "utils").symlink_to(root / "utils")
    for name in ("iter0_mfcc_km5", "iter1_espnet_hubert_l6_km8"):
        labels = tmp_path / "hubert1/exp/kmeans" / name / "labels"
        labels.mkdir(parents=True)
        (labels.parent / "card.json").write_text("{}")
        (labels / "train.txt").write_text("u 0\n")
    return folder


def source(recipe: Path, *assignments: str, say: str = "") -> subprocess.CompletedProcess:
    """Source label_source.sh with these options, then say something."""
    script = f"""set -euo pipefail
        die() {{ echo "$*" >&2; exit 1; }}
        find_config() {{ false; }}
        log() {{ echo "$*" >&2; }}
        stage=5 stop_stage=7 pseudo_labels= pseudo_labels_iter= token_type= token_list= labels_dir= dumpdir=dump
        python=python train_config= ssl_args=
        {"; ".join(assignments)}
        . scripts/tokens/label_source.sh
        {say}"""
    return subprocess.run(["bash", "-c", script], cwd=recipe, capture_output=True, text=True, check=False)


FOLDERS = 'label_folders "a b"; echo "tag: ${labels_tag}"; label_targets'


def test_one_set_without_a_name(recipe: Path) -> None:
    said = source(recipe, "pseudo_labels=../hubert1", say=f"{FOLDERS}; label_text 0 a").stdout.splitlines()
    folder = "dump/packed_labels/iter1_espnet_hubert_l6_km8"
    kmeans = "../hubert1/exp/kmeans/iter1_espnet_hubert_l6_km8"
    assert said == [f"{folder}/a {folder}/b", "tag: kmeans", kmeans, f"{kmeans}/labels/a.txt"]
    first = source(recipe, "pseudo_labels=../hubert1", "pseudo_labels_iter=0", say=FOLDERS).stdout.splitlines()
    assert first[0] == "dump/packed_labels/iter0_mfcc_km5/a dump/packed_labels/iter0_mfcc_km5/b"


def test_a_kmeans_folder_itself(recipe: Path) -> None:
    said = source(recipe, "pseudo_labels=../hubert1/exp/kmeans/iter0_mfcc_km5/", say="label_targets")
    assert said.stdout.splitlines() == ["../hubert1/exp/kmeans/iter0_mfcc_km5"]
    (recipe.parent / "hubert1/exp/kmeans/iter0_mfcc_km5/labels/train.txt").unlink()
    refused = source(recipe, "pseudo_labels=../hubert1/exp/kmeans/iter0_mfcc_km5")
    assert refused.returncode == 1 and "iter0_mfcc_km5: no finished labels there" in refused.stderr


def test_two_kmeans_of_one_iteration_are_the_users_to_choose(recipe: Path) -> None:
    other = recipe.parent / "hubert1/exp/kmeans/iter1_mfcc_km9/labels"
    other.mkdir(parents=True)
    (other.parent / "card.json").write_text("{}")
    (other / "train.txt").write_text("u 0\n")
    refused = source(recipe, "pseudo_labels=../hubert1")
    assert refused.returncode == 1 and "iteration 1 has several" in refused.stderr
    assert "name the one you mean: --pseudo_labels ../hubert1/exp/kmeans/iter1_" in refused.stderr


@pytest.mark.parametrize(
    "options",
    [
        ['pseudo_labels="km5=../hubert1 km8=../hubert1"', 'pseudo_labels_iter="0 1"'],
        ['pseudo_labels="km5=../hubert1/exp/kmeans/iter0_mfcc_km5 km8=../hubert1"'],
    ],
)
def test_several_sets_with_names(recipe: Path, options: list[str]) -> None:
    said = source(recipe, *options, say=f"{FOLDERS}; label_text 1 a").stdout.splitlines()
    coarse, fine = "dump/packed_labels/km5_iter0_mfcc_km5", "dump/packed_labels/km8_iter1_espnet_hubert_l6_km8"
    assert said[0] == f"km5={coarse}/a km5={coarse}/b km8={fine}/a km8={fine}/b"
    assert [Path(line).name for line in said[2:4]] == ["iter0_mfcc_km5", "iter1_espnet_hubert_l6_km8"]
    assert said[4] == "../hubert1/exp/kmeans/iter1_espnet_hubert_l6_km8/labels/a.txt"


def test_packed_labels_made_elsewhere(recipe: Path) -> None:
    assert source(recipe, 'labels_dir="my labels"', say='label_folders "a b"').stdout == "my labels/a my labels/b\n"
    named = source(recipe, 'labels_dir="x=one y=two/"', say=FOLDERS).stdout.splitlines()
    assert named[:2] == ["x=one/a x=one/b y=two//a y=two//b", "tag: "]
    text = source(recipe, "token_type=word", "token_list=list", say=FOLDERS).stdout.splitlines()
    assert text[:2] == ["dump/packed_labels/text/a dump/packed_labels/text/b", "tag: text"]
    assert source(recipe, say='label_folders "a b"; label_targets').stdout == "\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (['pseudo_labels="km5=../hubert1 ../hubert1"'], "--pseudo_labels: '../hubert1' has no name, but other label"),
        (['pseudo_labels="a=../hubert1 a=../hubert1"'], "--pseudo_labels: two label sets are called a"),
        (['pseudo_labels="a=../hubert1 b="'], "'b=' has no name"),
        (['pseudo_labels="a=../hubert1 b=../none"'], "--pseudo_labels ../none: no such folder"),
        (
            ['pseudo_labels="a=../hubert1 b=../hubert1"', 'pseudo_labels_iter="0 1 2"'],
            "--pseudo_labels_iter has 3 values for 2 label sets",
        ),
        (['pseudo_labels="a=../hubert1"', "labels_dir=x"], "are two sources of labels: give one"),
        (["labels_dir='a=x y'"], "--labels_dir: 'y' has no name"),
    ],
)
def test_what_names_no_labels(recipe: Path, options: list[str], message: str) -> None:
    result = source(recipe, *options)
    assert result.returncode == 1 and message in result.stderr
