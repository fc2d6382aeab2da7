"""The notebooks of doc/notebooks: what is kept of their last run, and a run of them on the smoke corpus."""

import doctest
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook
from recipe_folders import link_recipe
from repository import ROOT

FIRST_MODEL = ROOT / "doc/notebooks/first_model.ipynb"
MOST_BYTES = 300_000
SMOKE = {
    "train_set": "train_smoke",
    "valid_set": "dev_smoke",
    "data_options": "--smoke true",
    "train_config": "conf/train_hubert_smoke.yaml",
    "num_updates": 20,
    "num_units": 20,
}


@pytest.fixture(scope="module")
def programs() -> dict[str, ModuleType]:
    """The program that runs notebooks, and the one that makes pages of them."""
    folders = [str(ROOT / "doc/generate"), str(ROOT / "doc/_extensions")]
    sys.path[:0] = folders
    try:
        return {name: importlib.import_module(name) for name in ("notebook", "notebook_pages")}
    finally:
        sys.path[:] = [path for path in sys.path if path not in folders]


def pictures(notebook: nbformat.NotebookNode) -> Iterator[nbformat.NotebookNode]:
    """The cells that draw."""
    for cell in notebook.cells:
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
            yield cell


def test_the_notebook_was_run_whole_and_is_small() -> None:
    notebook = nbformat.read(FIRST_MODEL, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert FIRST_MODEL.stat().st_size < MOST_BYTES
    assert notebook.metadata.language_info == {"name": "python"}


def test_pictures_have_words() -> None:
    cells = list(pictures(nbformat.read(FIRST_MODEL, as_version=4)))
    assert len(cells) == 2 and all(cell.source.startswith("# ") for cell in cells)


def test_examples_in_docstrings(programs: dict[str, ModuleType]) -> None:
    result = doctest.testmod(programs["notebook_pages"])
    assert result.attempted >= 2 and not result.failed


def test_a_page_holds_what_cells_left_behind(programs: dict[str, ModuleType]) -> None:
    streams = [{"name": "stdout", "text": "a `` ``` b\n"}, {"name": "stdout", "text": ["c\n"]}]
    results = [
        {"data": {"image/png": "iVBO\nRw0K", "text/plain": "<Figure>"}},
        {"data": {"text/html": "<audio></audio>", "text/plain": "Audio"}},
        {"data": {"text/markdown": "| a |\n|---|"}},
    ]
    cell = {"cell_type": "code", "source": ["# A picture\n", "draw()"], "outputs": [*streams, *results]}
    page = programs["notebook_pages"].as_markdown({"cells": [cell]})
    assert "````text\na `` ``` b\nc\n````" in page
    long = {"cell_type": "code", "source": "a", "outputs": [{"name": "stdout", "text": "b\n" * 40}]}
    assert "<summary>40 lines</summary>\n\n```text\nb\n" in programs["notebook_pages"].as_markdown({"cells": [long]})
    assert "<summary>" not in page
    assert "![A picture](data:image/png;base64,iVBORw0K)" in page and "<Figure>" not in page
    assert "```{raw} html\n<audio></audio>\n```" in page and "\n| a |\n" in page


def test_a_parameter_that_is_none_is_refused(programs: dict[str, ModuleType]) -> None:
    with pytest.raises(ValueError, match=r"no_such: no parameter; known are data_options, expdir, learning_rate"):
        programs["notebook"].execute(FIRST_MODEL, {"no_such": 1})


@pytest.mark.recipes
@pytest.mark.timeout(1800)
def test_a_failing_cell_is_an_error(programs: dict[str, ModuleType], tmp_path: Path) -> None:
    cells = [new_code_cell("steps = 1", metadata={"tags": ["parameters"]}), new_code_cell("1 / (steps - 2)")]
    nbformat.write(new_notebook(cells=cells), tmp_path / "a.ipynb")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        programs["notebook"].execute(tmp_path / "a.ipynb", {"steps": 2})


@pytest.mark.recipes
@pytest.mark.timeout(1800)
def test_the_first_model_runs_from_top_to_bottom(programs: dict[str, ModuleType], tmp_path: Path) -> None:
    recipe = link_recipe("mini_espeak", tmp_path / "a recipe") / "hubert1"
    executed = programs["notebook"].execute(FIRST_MODEL, {"recipe_folder": str(recipe), **SMOKE})
    assert len(list(pictures(executed))) == 2
    kinds = {kind for cell in executed.cells for output in cell.get("outputs", []) for kind in output.get("data", {})}
    assert {"image/png", "text/html", "text/markdown"} <= kinds  # curves, sound, the table
    (experiment,) = (recipe / "exp/first_model").glob("hubert_iter0_*")
    assert (experiment / "report.html").stat().st_size > 0
    (table,) = [
        output.data["text/markdown"]
        for cell in executed.cells
        for output in cell.get("outputs", [])
        if "text/markdown" in output.get("data", {})
    ]
    assert table == (experiment / "eval/units.md").read_text() and f"| {experiment.name} |" in table
