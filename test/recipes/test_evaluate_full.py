"""Stage 8 with --eval full on the smoke recipe: a unit language model for every system, in the report and beside it."""

import csv
import json
from pathlib import Path

import pytest
from recipe_folders import MODELS, succeed

pytestmark = pytest.mark.recipes
QUICK = "unit_lm.max_update=3 unit_lm.batch_bins=1024 probes.tasks=[phone] abx.max_triples=2000"


def test_units_are_scored_as_language(recipe: Path) -> None:
    hubert1 = recipe / "hubert1"
    succeed(hubert1, "./smoke.sh", "--stage", "8", "--stop_stage", "8", "--eval", "full", "--eval_args", QUICK)
    folder = hubert1 / "exp/smoke" / MODELS[1]
    rows = json.loads((folder / "eval/unit_lm.json").read_text())["rows"]
    assert {row["system"] for row in rows} >= {"mfcc", "model", "untrained"}
    assert all(0 < row["bits_per_second"] < 1000 for row in rows)
    page = (folder / "report.html").read_text()
    assert 'id="unit_lm"' in page and f"{rows[0]['bits_per_second']:.1f}" in page
    with (folder / "report.csv").open(newline="") as stream:
        systems = {row["system"] for row in csv.DictReader(stream)}
    assert {"mfcc", "model", "untrained"} <= systems
