"""The templates and the typed configs in, generated pages that are not up to date, or lack something, out."""

import doctest
import importlib
import sys
from types import ModuleType

import pytest
from repository import ROOT

from espnet2.tasks.config import SSLConfig


@pytest.fixture(scope="module")
def generate() -> dict[str, ModuleType]:
    """The programs of doc/generate."""
    sys.path.insert(0, str(ROOT / "doc/generate"))
    try:
        return {name: importlib.import_module(name) for name in ("pages", "stages", "configuration", "tools")}
    finally:
        sys.path.remove(str(ROOT / "doc/generate"))


@pytest.mark.parametrize("name", ["stages", "configuration", "tools"])
def test_generated_pages_are_fresh(generate: dict[str, ModuleType], name: str) -> None:
    stale = generate["pages"].stale(generate[name].all_pages())
    assert not stale, f"python doc/generate/{name}.py would change {', '.join(stale)}"


def test_a_stale_page_is_found(generate: dict[str, ModuleType]) -> None:
    page = "doc/reference/options.md"
    text = (ROOT / page).read_text()
    assert generate["pages"].stale({page: text, "doc/reference/nothing.md": ""}) == ["doc/reference/nothing.md"]
    assert generate["pages"].stale({page: text + "more\n"}) == [page]


def test_the_stages_of_both_templates_are_ten(generate: dict[str, ModuleType]) -> None:
    stages = generate["stages"].read_stages()
    assert [stage.number for stage in stages] == list(range(1, 11))
    assert {stage.number: stage.skipped_by for stage in stages}[8] == "skip_eval"


def test_every_key_is_described(generate: dict[str, ModuleType]) -> None:
    pages = generate["configuration"].all_pages()
    assert all(f"| `{name}` |" in "\n".join(pages.values()) for name in SSLConfig.model_fields)
    without = [
        line
        for text in pages.values()
        for line in text.splitlines()
        if line.startswith("| `") and line.endswith("|  |")
    ]
    assert not without, "keys without a description:\n" + "\n".join(without)


def test_examples_in_docstrings(generate: dict[str, ModuleType]) -> None:
    results = [doctest.testmod(module) for module in generate.values()]
    assert sum(result.attempted for result in results) >= 4 and not any(result.failed for result in results)
