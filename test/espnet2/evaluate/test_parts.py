"""Parts of an evaluation are found by file, and bring all that pages say of them."""

from pathlib import Path

import pytest

from espnet2 import evaluate
from espnet2.evaluate import parts
from espnet2.evaluate.parts import PARTS, find_parts
from espnet2.evaluate.report.measures import KINDS
from espnet2.evaluate.report.results import SHOWN
from espnet2.utils.errors import UserError

# Pages, tables of RESULTS.md and messages hold these in this order.
ORDER = ["units", "abx", "probes", "unit_lm", "examples"]
MEASURES = (
    "pnmi abx_within abx_across abx_phoneme_within_within abx_phoneme_within_across abx_phoneme_any_within "
    "abx_phoneme_any_across probe_phone probe_speaker probe_language probe_per probe_cer probe_wer"
).split()


def test_every_file_is_a_part_in_the_order_of_pages() -> None:
    assert list(PARTS) == ORDER
    for name, part in PARTS.items():
        assert type(part).__module__ == f"espnet2.evaluate.{name}.part" and part.title and part.summary


def test_measures_and_columns_keep_their_order() -> None:
    assert list(KINDS) == MEASURES
    assert list(SHOWN) == [key for key in MEASURES if key != "probe_cer"]


def test_names_come_back_in_the_order_of_places() -> None:
    assert [part.name for part in find_parts(["examples", "units"])] == ["units", "examples"]
    for names in (["units", "nothing"], []):
        with pytest.raises(UserError, match="expected some of units, abx, probes, unit_lm, examples"):
            find_parts(names)


def test_a_new_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that only its own file knows is in the list, behind those of a lower order."""
    source = (
        "from espnet2.evaluate.part import Part\n\n\n"
        "class Pitch(Part):\n    name, order, title, summary = 'pitch', 25, 'pitch', 'how high'\n\n"
        "    def settings(self, request): return {}\n"
        "    def forecast_seconds(self, request): return 0.0\n"
        "    def run(self, request, report): return {'rows': [], 'notes': []}\n"
    )
    for name in ORDER:
        (tmp_path / name).mkdir()
        (tmp_path / name / "part.py").touch()  # found by name; the modules are those of the toolkit
    (tmp_path / "pitch").mkdir()
    (tmp_path / "pitch/part.py").write_text(source, encoding="utf-8")
    monkeypatch.setattr(evaluate, "__path__", [*evaluate.__path__, str(tmp_path)])
    monkeypatch.setattr(parts, "__file__", str(tmp_path / "parts.py"))
    assert list(parts._find()) == ["units", "abx", "pitch", "probes", "unit_lm", "examples"]
