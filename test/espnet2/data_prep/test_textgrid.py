"""TextGrids of both forms and .lab files in, the phones that come out."""

from pathlib import Path

import pytest

from espnet2.data_prep.tables import Phone
from espnet2.data_prep.textgrid import Interval, phones_of, read_lab, read_textgrid
from espnet2.utils.errors import UserError

LONG = '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1.5
        intervals: size = 2
        intervals [1]:
            xmin = 0.0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 1.5
            text = "say ""a"""
    item [2]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 1.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = "sil"
        intervals [2]:
            xmin = 0.5
            xmax = 1.2
            text = "AH0"
        intervals [3]:
            xmin = 1.2
            xmax = 1.5
            text = "sp"
'''
SHORT = '''File type = "ooTextFile"
Object class = "TextGrid"

0
1.5
<exists>
2
"IntervalTier"
"words"
0
1.5
2
0.0
0.5
""
0.5
1.5
"say ""a"""
"IntervalTier"
"phones"
0
1.5
3
0
0.5
"sil"
0.5
1.2
"AH0"
1.2
1.5
"sp"
'''


@pytest.mark.parametrize("text", [LONG, SHORT], ids=["long", "short"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_both_forms_give_the_same_tiers(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "a.TextGrid").write_text(text, encoding=encoding)
    assert read_textgrid(tmp_path / "a.TextGrid") == {
        "words": [Interval(0.0, 0.5, ""), Interval(0.5, 1.5, 'say "a"')],
        "phones": [Interval(0.0, 0.5, "sil"), Interval(0.5, 1.2, "AH0"), Interval(1.2, 1.5, "sp")],
    }


def test_silences_have_one_name_and_stress_goes() -> None:
    intervals = [Interval(0, 0.1, ""), Interval(0.1, 0.2, "sil"), Interval(0.2, 0.3, "AH0"), Interval(0.3, 0.3, "T")]
    assert phones_of(intervals, "a") == (Phone(0, 0.2, "SIL"), Phone(0.2, 0.3, "AH"))


def test_a_lab_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.lab").write_text("0.0\t0.03\tsil\n0.03\t0.13\tM\n0.13 0.2\n\n")
    expected = [Interval(0, 0.03, "sil"), Interval(0.03, 0.13, "M"), Interval(0.13, 0.2, "")]
    assert read_lab(tmp_path / "a.lab") == expected
    (tmp_path / "b.lab").write_text("0.0\t0.03\tsil\nsil 0 300000\n")
    with pytest.raises(UserError, match=r"b.lab:2: expected '<start seconds>"):
        read_lab(tmp_path / "b.lab")


def test_what_is_no_textgrid_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.TextGrid").write_text("<html>")
    with pytest.raises(UserError, match="expected a Praat TextGrid"):
        read_textgrid(tmp_path / "a.TextGrid")


@pytest.mark.parametrize(
    ("second", "message"),
    [(Interval(0.1, 0.4, "B"), "'B' at 0.1 s begins before"), (Interval(0.2, 1, "a b"), "the tier of the words")],
)
def test_alignments_that_cannot_be_are_refused(second: Interval, message: str) -> None:
    with pytest.raises(UserError, match=message):
        phones_of([Interval(0, 0.2, "A"), second], "x.TextGrid")
