"""A Chromium, and the pages it is shown: reports of an experiment, a comparison, the documentation."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, chromium
from evaluated import examples_part, units_part, write_evaluated, write_part, write_training
from repository import ROOT
from tiny_units import run_program

LONG_NAME = "hubert_iter1_train_hubert_base_augment_espnet_hubert_l9_km500_without_a_place_to_break_the_line"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A whole report, one with hardly anything, one with extremes, and a comparison."""
    root = tmp_path_factory.mktemp("pages")
    whole, bare, extreme = (
        write_evaluated(root / "mine"),
        write_training(root / "bare"),
        write_evaluated(root / LONG_NAME),
    )
    for name in ("history.jsonl", "train.log", "train.done"):
        (bare / name).unlink()
    part = units_part()
    part["rows"][3]["heatmap"] = {
        "phones": [f"p{number}" for number in range(60)],
        "units": list(range(500)),
        "p_phone_given_unit": [[1 / 60] * 60] * 500,
    }
    part["notes"] = ["a/very/long/path/" * 20]
    write_part(extreme, "units", part)
    write_part(extreme, "examples", examples_part(extreme, ("an_utterance_id_of_great_length" * 4, "2", "3")))
    for folder in (whole, bare, extreme):
        run_program("ssl_report", folder)
    run_program("compare", whole, bare, extreme, "--output", root / "compare.html")
    page_of = {
        name: folder / "report.html" for name, folder in (("whole", whole), ("bare", bare), ("extreme", extreme))
    }
    return page_of | {"compare": root / "compare.html"}


@pytest.fixture(scope="session")
def documentation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of doc/ as html."""
    target = tmp_path_factory.mktemp("documentation")
    command = [sys.executable, "-m", "sphinx", "-q", "-E", "-c", str(ROOT / "doc"), "-d", str(target / "doctrees")]
    subprocess.run([*command, str(ROOT), str(target / "html")], check=True, timeout=250)
    return target / "html"
