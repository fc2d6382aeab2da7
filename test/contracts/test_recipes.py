"""Every egs2/<corpus>/<task> in, those that break the contract of a recipe out; what setup.sh makes keeps it."""

import filecmp
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from recipe_folders import contents, link_recipe, refuse, run, set_up_recipe, succeed
from repository import ROOT

from espnet2.pretrain.architecture import load_training_config
from espnet2.tasks.build import build, count_parameters
from espnet2.tasks.config import load_config

RECIPES = ROOT / "egs2"
CORPORA = sorted(path.name for path in RECIPES.iterdir() if path.is_dir() and path.name != "TEMPLATE")
TASKS = ("ssl1", "hubert1")
# The links of a recipe to the toolkit: 6 and 8. With hubert1/local -> ../ssl1/local a corpus has 15.
LINKS = {
    "ssl1": {"cmd.sh", "path.sh", "db.sh", "scripts", "utils", "ssl1.sh"},
    "hubert1": {"cmd.sh", "path.sh", "db.sh", "scripts", "utils", "ssl1.sh", "hubert1.sh", "hubert.sh"},
}
# setup.sh adds what a local/data.sh of Kaldi or ESPnet calls; the recipes of this repository call none of it.
CALLED_BY_OTHERS = {"pyscripts", "steps"}
TEMPLATE_CONF = RECIPES / "TEMPLATE/ssl1/conf"
# Some are links to those of the other recipe: each file is built once.
FILES = {path.resolve() for path in RECIPES.glob("*/*/conf/*.yaml") if path.is_file()}
CONFIGS = sorted(path.relative_to(ROOT).as_posix() for path in FILES)
SHIPPED = RECIPES / "mini_espeak/ssl1/models"
MAXIMUM_RUN_LINES = 40
# Options that a user of ESPnet types from memory.
OPTIONS = """
    stage stop_stage skip_data_prep skip_train skip_eval skip_packing skip_upload_hf ngpu num_nodes nj dumpdir expdir
    python local_data_opts speed_perturb_factors feats_type audio_format fs min_wav_duration max_wav_duration
    train_set valid_set lang inference_ssl_model hf_repo alignment_phoneme_dir
""".split()
OWN_OPTIONS = {
    "ssl1": "token_type token_list train_config ssl_args pseudo_labels pseudo_labels_iter".split(),
    "hubert1": """
        train_start_iter train_stop_iter train_configs n_clusters features_km layers_km portion_km gpu_dump_feature
        hubert_args
    """.split(),
}


@pytest.fixture(scope="module", params=CORPORA)
def corpus(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def linked(corpus: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipes of a corpus, outside the repository."""
    return link_recipe(corpus, tmp_path_factory.mktemp("recipes") / corpus)


@pytest.mark.parametrize("task", TASKS)
def test_a_recipe_is_links_to_the_template(corpus: str, task: str) -> None:
    recipe, template = RECIPES / corpus / task, RECIPES / "TEMPLATE" / task
    for name in LINKS[task]:
        source = ROOT / "utils" if name == "utils" else template / name
        assert (recipe / name).is_symlink() and (recipe / name).samefile(source), name
    for path in (recipe / "local" / "data.sh", recipe / "run.sh"):
        assert os.access(path, os.X_OK), path


@pytest.mark.parametrize("task", TASKS)
def test_conf_holds_only_what_differs_from_the_template(corpus: str, task: str) -> None:
    conf = RECIPES / corpus / task / "conf"
    for path in (path for path in conf.rglob("*") if path.is_file()):
        common = TEMPLATE_CONF / path.relative_to(conf)
        same = common.is_file() and filecmp.cmp(path, common, shallow=False)
        assert not same, f"{path} is that of the template: remove it, the recipe finds it there"


@pytest.mark.parametrize("task", TASKS)
def test_run_sh_holds_values_only(corpus: str, task: str) -> None:
    text = (RECIPES / corpus / task / "run.sh").read_text()
    assert len(text.splitlines()) <= MAXIMUM_RUN_LINES
    assert f"./{task}.sh" in text and text.rstrip().endswith('"$@"')


@pytest.mark.parametrize("task", TASKS)
def test_help_lists_every_option_with_its_default(linked: Path, task: str) -> None:
    output = succeed(linked / task, "./run.sh", "--help")
    for name in [*OPTIONS, *OWN_OPTIONS[task]]:
        assert re.search(rf"^  --{name} .*\[.*\]$", output, re.MULTILINE), name


@pytest.mark.parametrize("task", TASKS)
def test_a_stage_beyond_the_last_does_nothing(linked: Path, task: str) -> None:
    before = contents(linked / task)
    succeed(linked / task, "./run.sh", "--stage", "99", "--stop_stage", "99")
    assert contents(linked / task).keys() - before.keys() <= {"exp/stages.tsv"}


def test_a_corpus_is_described_and_has_results(corpus: str) -> None:
    assert (RECIPES / corpus / "README.md").is_file()
    results = [path for path in (RECIPES / corpus).rglob("RESULTS.md") if path.parent.name in (corpus, *TASKS)]
    assert results, f"egs2/{corpus} has no RESULTS.md"
    rows = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("|")]
    assert any(f"egs2/{corpus}" in row for row in rows), f"README.md has no row for egs2/{corpus}"


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_builds(name: str) -> None:
    assert re.fullmatch(r"train_[a-z0-9]+_[a-z0-9_]+\.yaml", Path(name).name), "expected train_<objective>_<size>.yaml"
    config = load_config(ROOT / name)
    if config.init_loss_conf:  # goes on from a model of its family, whose architecture it takes
        family = Path(name).stem.removeprefix("train_continue_")
        config = load_training_config(ROOT / name, ["--init_from", str(SHIPPED / f"{family}_mini")])
    with torch.device("meta"):
        model = build(config, num_classes=getattr(config.loss[0].conf, "num_classes", None) or 100)
    assert count_parameters(model) > 0
    assert config.max_update or config.max_epoch


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a repository that setup.sh links to, in a folder with a space in its name."""
    copy = tmp_path_factory.mktemp("setup") / "the toolkit"
    for name in ("egs2/TEMPLATE", "utils"):
        ignored = shutil.ignore_patterns("__pycache__", "data" if name != "utils" else "", "dump", "exp")
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignored)
    for name in ("__init__.py", "moved.py", "utils"):  # the recipes' supervisor uses the locks of espnet2.utils
        (copy / "espnet2").mkdir(exist_ok=True)
        (copy / "espnet2" / name).symlink_to(ROOT / "espnet2" / name)
    return copy


def check_made(recipe: Path, task: str) -> None:
    """What the contract asks of a recipe that setup.sh made."""
    assert f"--{OWN_OPTIONS[task][0]} " in succeed(recipe, "./run.sh", "--help")
    assert len((recipe / "run.sh").read_text().splitlines()) <= MAXIMUM_RUN_LINES
    assert (recipe / "conf").is_dir() and not list((recipe / "conf").iterdir())
    assert not any(path.is_symlink() for path in (recipe / "local").rglob("*"))
    output = refuse(recipe, "./run.sh", "--stage", "1", "--stop_stage", "1")
    assert "local/data.sh has to be written for this corpus" in output
    assert not (recipe / "data").exists() and not (recipe / "dump").exists()


@pytest.mark.parametrize("task", TASKS)
def test_setup_inside_the_repository_makes_relative_links(repository: Path, task: str) -> None:
    recipe = f"egs2/new corpus of {task}/{task}"
    output = succeed(repository, f"egs2/TEMPLATE/{task}/setup.sh", recipe)
    assert "Next:" in output and f"{recipe}/local/data.sh" in output
    links = [path for path in (repository / recipe).iterdir() if path.is_symlink()]
    assert {path.name for path in links} - {"local"} == LINKS[task] | CALLED_BY_OTHERS
    assert all(path.exists() and not os.path.isabs(path.readlink()) for path in links)
    check_made(repository / recipe, task)


@pytest.mark.parametrize(("first", "second"), [TASKS, TASKS[::-1]])
def test_both_recipes_of_a_corpus_share_one_local(repository: Path, first: str, second: str) -> None:
    corpus = repository / f"egs2/{first} first"
    assert "write " in succeed(repository, f"egs2/TEMPLATE/{first}/setup.sh", f"egs2/{first} first/{first}")
    output = succeed(repository, f"egs2/TEMPLATE/{second}/setup.sh", f"egs2/{first} first/{second}")
    assert f"nothing to write: local/ is that of ../{first}" in output
    assert (corpus / second / "local").readlink() == Path(f"../{first}/local")
    assert not (corpus / first / "local").is_symlink()
    assert (
        sum(path.is_symlink() for path in corpus.rglob("*"))
        == sum(map(len, LINKS.values())) + 2 * len(CALLED_BY_OTHERS) + 1
        == 19
    )
    for task in TASKS:
        check_made(corpus / task, task)


@pytest.mark.parametrize("task", TASKS)
def test_setup_outside_the_repository(task: str, tmp_path: Path) -> None:
    recipe = tmp_path / "else where" / "corpus" / task
    assert set_up_recipe(task, recipe).returncode == 0
    assert (recipe / "path.sh").samefile(RECIPES / "TEMPLATE" / task / "path.sh")
    check_made(recipe, task)


def test_setup_refuses_to_overwrite(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me\n")
    output = refuse(tmp_path, str(RECIPES / "TEMPLATE/ssl1/setup.sh"), "mine")
    assert "mine exists and is not empty; nothing was changed" in output
    assert contents(tmp_path / "mine") == {"notes.txt": b"keep me\n"}


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["--help"]])
def test_setup_without_one_folder_says_how_it_is_called(tmp_path: Path, arguments: list[str]) -> None:
    result = run(tmp_path, str(RECIPES / "TEMPLATE/ssl1/setup.sh"), *arguments)
    assert result.returncode == 2 and "Usage: " in result.stdout
    assert not list(tmp_path.iterdir())
