"""A third set named in run.sh, and lengths that an objective cannot use; what stages 4 and 8 make of them out."""

import shutil
from pathlib import Path

import pytest
from recipe_folders import MODELS, contents, refuse, succeed

EXPERIMENT = Path("exp/smoke") / MODELS[1]


@pytest.fixture(scope="module")
def hubert1(module_recipe: Path) -> Path:
    """hubert1 after its smoke run, with data/test_smoke: six utterances that nothing was trained on."""
    folder = module_recipe / "hubert1"
    shutil.copytree(folder / "data/dev_smoke", folder / "data/test_smoke")
    return folder


def test_a_third_set_is_formatted_and_evaluated(hubert1: Path) -> None:
    before = contents(hubert1 / EXPERIMENT / "eval")
    output = succeed(hubert1, "./smoke.sh", "--test_sets", "test_smoke", "--stage", "3", "--stop_stage", "4")
    assert "dump/org/{train_smoke dev_smoke test_smoke}" in output
    for table in ("wav.scp", "index/index.json", "phones.ctm"):
        assert (hubert1 / "dump/test_smoke" / table).is_file()
    output = succeed(hubert1, "./smoke.sh", "--test_sets", "test_smoke", "--stage", "8", "--stop_stage", "8")
    results = hubert1 / EXPERIMENT / "test/test_smoke"
    assert "utterances of dump/test_smoke, silence included" in (results / "eval/units.md").read_text()
    assert "test_smoke, a set of --test_sets" in output and (results / "report.html").is_file()
    changed = {"evaluate.log"}  # the validation set keeps its results
    after = contents(hubert1 / EXPERIMENT / "eval")
    assert {name: data for name, data in after.items() if Path(name).name not in changed} == {
        name: data for name, data in before.items() if Path(name).name not in changed
    }


def test_the_valid_set_is_no_further_set(hubert1: Path) -> None:
    options = ("--test_sets", "dev_smoke", "--stage", "3", "--stop_stage", "4")
    assert "dump/org/{train_smoke dev_smoke}" in succeed(hubert1, "./smoke.sh", *options)


def test_a_third_set_that_is_not_there_is_one_message(hubert1: Path) -> None:
    output = refuse(hubert1, "./smoke.sh", "--test_sets", "gone", "--stage", "3", "--stop_stage", "4")
    assert "data/gone/wav.scp is missing: stage 1 makes it" in output


def test_stage_4_says_what_the_objective_needs_before_labels_are_made(module_recipe: Path) -> None:
    ssl1 = module_recipe / "ssl1"
    options = ["--pseudo_labels", "", "--train_config", "conf/train_wav2vec2_mini.yaml", "--stop_stage", "5"]
    output = refuse(ssl1, "./smoke.sh", *options, "--ssl_args", "--loss wav2vec2.conf.mask_span=300")
    assert "utterances are shorter than the objective needs" in output and "--min_wav_duration" in output
    assert "stage 4: " in output and "stage 5: " not in output
    assert "stage 5: " in succeed(ssl1, "./smoke.sh", *options, "--stage", "4")


def test_stage_4_of_hubert1_looks_at_its_configs(hubert1: Path) -> None:
    before = contents(hubert1 / "exp")
    configs = "conf/train_hubert_smoke.yaml conf/train_gone.yaml"
    output = refuse(hubert1, "./smoke.sh", "--train_configs", configs, "--stage", "4")
    assert "conf/train_gone.yaml: no such file" in output and "stage 5: iteration" not in output
    assert before.keys() == contents(hubert1 / "exp").keys()


def test_a_set_of_the_old_domain_is_labelled_and_measured_at_each_validation(hubert1: Path) -> None:
    old = ["--old_sets", "test_smoke"]
    assert "name sets of the domain that" in refuse(hubert1, "./smoke.sh", "--old_sets", "dev_smoke")
    succeed(hubert1, "./smoke.sh", *old, "--stage", "3", "--stop_stage", "5", "--expdir", "exp/old")
    ssl1 = hubert1.parent / "ssl1"
    source = sorted((hubert1 / EXPERIMENT / "checkpoints").glob("update_*"))[-1]
    options = [
        "--dumpdir",
        "../hubert1/dump",
        "--pseudo_labels",
        "../hubert1/exp/old",
        "--stage",
        "5",
        "--stop_stage",
        "7",
    ]
    succeed(ssl1, "./smoke.sh", *old, *options, "--init_from", f"../hubert1/{source.relative_to(hubert1)}")
    (experiment,) = (ssl1 / "exp").glob(f"**/ssl_*_init_from{source.name}*")
    log = (experiment / "train.log").read_text()
    assert "old domain: 8 utterances" in log and "at the start" in log
    assert (experiment / "train.done").is_file()
