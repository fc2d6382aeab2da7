"""A user's mistakes with labels, configs and checkpoints at run.sh in: one clear error, nothing half-written, out."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from recipe_folders import KMEANS, MODELS, contents, refuse, succeed

TOKEN_LIST = "../hubert1/data/en_token_list_kmeans_iter1_espnet_hubert_20clusters/word/tokens.txt"
LABELS = "hubert1/dump/ssl_feats/espnet_hubert/layer_1/{}/pseudo_labels_km20.txt"
BY_HAND = ["--pseudo_labels", "", "--token_type", "word", "--token_list", TOKEN_LIST, "--dumpdir", "../hubert1/dump"]
EXPERIMENT = Path("exp/smoke") / MODELS[0]


@pytest.fixture
def labelled(module_recipe: Path) -> Path:
    """ssl1 on the formatted sets of hubert1, with labels copied by hand."""
    for dset in ("train_smoke", "dev_smoke"):
        (module_recipe / f"hubert1/dump/{dset}/text").write_bytes((module_recipe / LABELS.format(dset)).read_bytes())
    return module_recipe / "ssl1"


def rows(change: Callable[[list[str]], list[str]]) -> Callable[[str], str]:
    """An edit of the labels of every utterance."""

    def edit(text: str) -> str:
        lines = [line.split() for line in text.splitlines()]
        return "".join(" ".join([key, *change(labels)]) + "\n" for key, *labels in lines)

    return edit


BAD_LABELS = {
    "missing": (lambda text: text.partition("\n")[2], "1 of 16 utterances have no labels (s000-000); expected at most"),
    "out of range": (lambda text: text.replace("\n", " 20\n", 1), "text:1: s000-000: '20'"),
    "wrong rate": (rows(lambda labels: [one for one in labels for _ in range(3)]), "149.0 labels per second"),
    "too few": (rows(lambda labels: labels[:-9]), "have more or fewer labels than frames, by more than 2"),
    "one class": (rows(lambda labels: ["7"] * len(labels)), "labels are of class 7"),
    "CRLF": (lambda text: text.replace("\n", "\r\n"), "text:1: line ends in CR LF"),
    "words": (rows(lambda labels: ["a", "word"]), "the labels and the list come from different clusters"),
    "twice": (lambda text: text + text.partition("\n")[0] + "\n", "text:17: utterance 's000-000' is also on line 1"),
}


@pytest.mark.parametrize("kind", BAD_LABELS)
def test_labels(labelled: Path, kind: str) -> None:
    change, message = BAD_LABELS[kind]
    text = labelled / "../hubert1/dump/train_smoke/text"
    text.write_text(change(text.read_text()), newline="")
    output = refuse(labelled, "./smoke.sh", *BY_HAND, "--stage", "5", "--stop_stage", "7")
    assert message in output and "dump/train_smoke/text" in output and "stage 6" not in output
    assert not contents(labelled.parent / "hubert1/dump/packed_labels")


@pytest.mark.parametrize("missing", ["text", "list"])
def test_files_of_labels_that_are_not_there(labelled: Path, missing: str) -> None:
    options = [*BY_HAND, "--stage", "5", "--stop_stage", "5"]
    if missing == "text":
        (labelled / "../hubert1/dump/train_smoke/text").unlink()
        message = "text is missing: copy the pseudo-labels of train_smoke there, or give --pseudo_labels"
    else:
        options += ["--token_list", "data/none.txt"]
        message = "data/none.txt: no such token list"
    assert message in refuse(labelled, "./smoke.sh", *options)


def test_labels_that_changed_after_stage_5(recipe: Path) -> None:
    ssl1, options = recipe / "ssl1", ["--dumpdir", "../hubert1/dump"]
    succeed(ssl1, "./smoke.sh", *options, "--stage", "5", "--stop_stage", "5")
    labels = recipe / "hubert1/exp/smoke/kmeans" / KMEANS[1] / "labels/dev_smoke.txt"
    packed = recipe / "hubert1/dump/packed_labels" / KMEANS[1] / "dev_smoke/labels.json"
    assert labels.stat().st_mtime_ns < packed.stat().st_mtime_ns
    labels.write_bytes(labels.read_bytes())
    output = refuse(ssl1, "./smoke.sh", *options, "--stage", "7", "--stop_stage", "7")
    assert "labels/dev_smoke.txt changed after stage 5 made" in output and "--stage 5 again" in output
    assert "up to date" in succeed(ssl1, "./smoke.sh", *options, "--stage", "5", "--stop_stage", "5")
    assert packed.stat().st_mtime_ns > labels.stat().st_mtime_ns


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hubert_args", "--encodr conformer"], "unknown key 'encodr'; did you mean 'encoder'? known keys are"),
        (["--ngpu", "1"], "train on the CPU with --ngpu 0"),
        (["--hubert_args", "--optim_conf lr=1e-4"], "config.optim_conf.lr: 0.002 in the checkpoint, 0.0001 now"),
        (["--train_set", "dev_smoke"], "train_sets"),
    ],
    ids=["unknown key", "no GPU", "resumed with another config", "resumed with other data and labels"],
)
def test_trainings_that_are_refused(module_recipe: Path, options: list[str], message: str) -> None:
    """The finished training of iteration 0 stays as it is, and its run.sh too."""
    recipe = module_recipe / "hubert1"
    before = contents(recipe / EXPERIMENT)
    options = ["--stage", "7", "--stop_stage", "7", "--train_stop_iter", "0", *options]
    output = refuse(recipe, "./smoke.sh", *options, CUDA_VISIBLE_DEVICES="")
    assert message in output and len(re.findall(r"\berror: ", output)) == 1, output
    after = contents(recipe / EXPERIMENT)
    assert {name: data for name, data in after.items() if name != "train_job.log"} == {
        name: data for name, data in before.items() if name != "train_job.log"
    }


def test_units_learned_otherwise(module_recipe: Path) -> None:
    before = contents(module_recipe / "hubert1/exp/smoke/kmeans")
    output = refuse(module_recipe / "hubert1", "./smoke.sh", "--stage", "5", "--stop_stage", "5", "--seed_km", "1")
    assert "this k-means was made with seed 0, not 1" in output
    assert contents(module_recipe / "hubert1/exp/smoke/kmeans") == before


def test_a_checkpoint_cut_short(recipe: Path) -> None:
    """Training falls back to the checkpoint before, says so, and arrives at the same weights."""
    hubert1 = recipe / "hubert1"
    weights = hubert1 / EXPERIMENT / "checkpoints/update_20/model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    succeed(hubert1, "./smoke.sh", "--stage", "7", "--stop_stage", "7", "--train_stop_iter", "0")
    log = (hubert1 / EXPERIMENT / "train.log").read_text()
    assert re.search(r"update_20: model.safetensors has 1000 of \d+ bytes; falling back to the checkpoint before", log)
    assert "going on from update 10 of 20" in log
    assert weights.read_bytes() == whole
