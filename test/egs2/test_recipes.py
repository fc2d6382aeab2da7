"""The recipes of egs2/ and their index in, those that do not fit together out; no torch is needed.

What a recipe folder must hold is checked by test/contracts/test_recipes.py: options, --help, --stage 99, configs.
"""

import os
import re
from pathlib import Path

import pytest
from recipe_folders import refuse, succeed
from repository import ROOT

from espnet2.utils.recipe import find_in_recipe

RECIPES = ROOT / "egs2"
INDEX = RECIPES / "README.md"
CORPORA = sorted(path.name for path in RECIPES.iterdir() if path.is_dir() and path.name != "TEMPLATE")
TASKS = ("ssl1", "hubert1")
# The first cell of a row of the index is a link to the corpus's page.
ROW = re.compile(r"^\| \[(\w+)\]\((\w+)/README\.md\) \|(.*)\|$", re.MULTILINE)


def index_rows() -> dict[str, str]:
    """Corpus -> the cells behind its name."""
    rows = [(match[1], match[2], match[3]) for match in ROW.finditer(INDEX.read_text(encoding="utf-8"))]
    assert all(name == folder for name, folder, _ in rows), rows
    assert len({name for name, _, _ in rows}) == len(rows), "a corpus has two rows"
    return {name: cells for name, _, cells in rows}


def was_run(results: Path) -> bool:
    """Whether a RESULTS.md holds results: all others say that there are none."""
    return "not run here" not in results.read_text(encoding="utf-8").lower()


def test_every_recipe_has_one_row_and_every_row_a_recipe() -> None:
    assert sorted(index_rows()) == CORPORA
    assert list(index_rows()) == sorted(index_rows()), "the rows are not sorted"


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_row_says_whether_the_recipe_was_run(corpus: str) -> None:
    """The cells are: speech, hours, text, alignments, ssl1, hubert1."""
    cells = [cell.strip() for cell in index_rows()[corpus].split("|")]
    assert len(cells) == 6 and all(cells), cells
    for task, cell in zip(TASKS, cells[4:], strict=True):
        results = RECIPES / corpus / task / "RESULTS.md"
        if results.exists() and was_run(results):
            assert cell == f"[results]({corpus}/{task}/RESULTS.md)"
        else:
            assert cell == "not run here"


@pytest.mark.parametrize("corpus", CORPORA)
def test_every_link_of_a_recipe_resolves_inside_the_repository(corpus: str) -> None:
    generated = {"data", "dump", "exp", "downloads"}
    for task in TASKS:
        recipe = RECIPES / corpus / task
        for folder, folders, names in os.walk(recipe):
            if Path(folder) == recipe:
                folders[:] = [name for name in folders if name not in generated]
            for path in (Path(folder) / name for name in [*folders, *names]):
                if path.is_symlink():
                    assert path.exists() and path.resolve().is_relative_to(ROOT), f"{path} -> {path.readlink()}"
                    assert not path.readlink().is_absolute(), f"{path} -> {path.readlink()}"


@pytest.mark.parametrize("corpus", CORPORA)
def test_both_tasks_prepare_the_same_data_and_name_existing_configs(corpus: str) -> None:
    assert (RECIPES / corpus / "hubert1/local").samefile(RECIPES / corpus / "ssl1/local")
    for task in TASKS:
        run = (RECIPES / corpus / task / "run.sh").read_text()
        named = re.findall(r"conf/[\w.]+\.yaml", run)
        assert named, f"{corpus}/{task}/run.sh names no config"
        for config in named:
            assert find_in_recipe(RECIPES / corpus / task / config).is_file(), f"{corpus}/{task}: {config}"


@pytest.mark.parametrize("corpus", CORPORA)
def test_data_sh_explains_its_options_and_refuses_others(corpus: str) -> None:
    recipe = RECIPES / corpus / "ssl1"
    assert "Options and their defaults" in succeed(recipe, "local/data.sh", "--help")
    assert "unknown option --no_such_option" in refuse(recipe, "local/data.sh", "--no_such_option", "1")
    assert "unexpected argument 'word'" in refuse(recipe, "local/data.sh", "word")


def test_db_sh_knows_the_corpora_that_have_a_root() -> None:
    known = set(re.findall(r"^export (\w+)=", (RECIPES / "TEMPLATE/ssl1/db.sh").read_text(), re.MULTILINE))
    for corpus in CORPORA:
        text = (RECIPES / corpus / "ssl1/local/data.sh").read_text()
        if re.search(rf"^{corpus}_root=", text, re.MULTILINE):
            assert corpus.upper() in known, f"db.sh lacks {corpus.upper()}"
            assert f"${{{corpus.upper()}:-}}" in text, f"{corpus}/ssl1/local/data.sh does not read {corpus.upper()}"
    text = (RECIPES / "TEMPLATE/ssl1/db.sh").read_text()
    names = re.findall(r"^export (\w+)=", text, re.MULTILINE)
    # The names of ESPnet's recipes too, each once.
    assert names == sorted(set(names), key=str.upper) and len(names) > 200
