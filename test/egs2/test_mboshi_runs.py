"""Evaluation files of trainings with several seeds in, the table of local/table_of_runs.py out."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from repository import ROOT

from espnet2.utils.errors import UserError

LOCAL = ROOT / "egs2/mboshi/ssl1/local"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mboshi_table_of_runs", LOCAL / "table_of_runs.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def unit_row(system: str, title: str, layer: int | None, pnmi: float, *, best: bool = False) -> dict:
    figures = {"pnmi": pnmi, "phone_purity": pnmi + 0.1, "spread": {"pnmi": 0.004, "phone_purity": 0.002}}
    return {"system": system, "title": title, "layer": layer, "best": best, "seeds": [0, 1, 2], "valid": figures}


def probe_row(system: str, title: str, accuracy: float) -> dict:
    return {"task": "phone", "system": system, "title": title, "layer": None, "seeds": [0], "accuracy": accuracy}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [
        unit_row("mfcc", "MFCC", None, 0.3, best=True),
        unit_row("model", "iter0_seed0", 1, 0.38, best=True), unit_row("model", "iter0_seed0", 2, 0.36),
        unit_row("model", "iter0_seed2", 1, 0.35), unit_row("model", "iter0_seed2", 2, 0.37, best=True),
        unit_row("model", "iter1_km100_seed0", 1, 0.4, best=True), unit_row("model", "iter1_km100_seed0", 2, 0.39),
    ]  # fmt: skip
    valid = {"set": "dump/test", "num_utterances": 195, "num_frames": 32341}
    units = {"num_clusters": 100, "frame_rate": 50.0, "seeds": [0, 1, 2], "valid": valid, "rows": rows}
    (tmp_path / "units.json").write_text(json.dumps(units))
    probes = [probe_row("mfcc", "MFCC", 0.5), probe_row("model", "iter0_seed0", 0.52)]
    probes.append(probe_row("model", "iter0_seed2", 0.54))
    (tmp_path / "probes.json").write_text(json.dumps({"rows": probes}))
    return tmp_path


def test_means_over_seeds_and_their_spread(program, folder: Path, capsys) -> None:
    program.main([str(folder)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("K = 100, 50 frames per second, 195 utterances and 32,341 frames of test. PNMI of each")
    assert lines[2:] == [
        "| run | seeds | PNMI, layer 1 | PNMI, layer 2 | PNMI, chosen layer | phone purity | phone probe |",
        "|---|--:|--:|--:|--:|--:|--:|",
        "| MFCC | - | - | - | 0.300 ± 0.004 | 0.400 ± 0.002 | 50.0 % |",
        "| iter0 | 2 | 0.365 ± 0.030 | 0.365 ± 0.010 | 0.375 ± 0.010 | 0.475 ± 0.010 | 53.0 % ± 2.0 |",
        "| iter1 km100 | 1 | 0.400 | 0.390 | 0.400 | 0.500 | - |",
    ]


def test_only_what_lies_between_the_marks_is_rewritten(program, folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "RESULTS.md"
    page.write_text("# Results\n\nabove\n<!-- runs: begin -->\nold\n<!-- runs: end -->\nbelow\n")
    program.main([str(folder), "--results", str(page)])
    text = page.read_text()
    assert text.startswith("# Results\n\nabove\n<!-- runs: begin -->\nK = 100") and text.endswith("below\n")
    assert "old" not in text


def test_what_is_no_run_is_refused(program, folder: Path) -> None:
    units = json.loads((folder / "units.json").read_text())
    units["rows"][1]["title"] = "mine"
    (folder / "units.json").write_text(json.dumps(units))
    with pytest.raises(UserError, match="model 'mine': expected a name such as iter0_seed0"):
        program.main([str(folder)])
    (folder / "units.json").unlink()
    with pytest.raises(UserError, match=r"units\.json: no such file; evaluate the runs first"):
        program.main([str(folder)])
