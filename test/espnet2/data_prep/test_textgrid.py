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


def write_short(path: Path, *items: str, declared: int | None = None, tail: str = "", encoding: str = "utf-8") -> Path:
    """A short TextGrid with a tier of points and a tier "phones" of these items: "<start> <end> <label>"."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", "2", "<exists>", "2"]
    lines += ['"TextTier"', '"clicks"', "0", "2", "2", "0.5", '"k""!"', "1,5", '""']
    lines += ['"IntervalTier"', '"phones"', "0", "2", str(len(items) if declared is None else declared)]
    for item in items:
        start, end, label = item.split(" ", 2)
        lines += [start, end, f'"{label}"']
    path.write_text("\n".join(lines) + tail + "\n", encoding=encoding)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    "times", [("0", "1.2", "2"), ("0", "1,2", "2"), ("0.0e+00", "1.2E+0", "20e-1"), ("-0", "+1.2", "2.")]
)
def test_times_in_every_way_of_writing_them(tmp_path: Path, times: tuple[str, ...], encoding: str) -> None:
    first, second, third = (time.rstrip(".") for time in times)
    path = write_short(tmp_path / "a.TextGrid", f"{first} {second} \u0259", f"{second} {third} b", encoding=encoding)
    assert read_textgrid(path) == {"phones": [Interval(0, 1.2, "\u0259"), Interval(1.2, 2, "b")]}


DAMAGE = {
    "an interval too few": (
        {"declared": 3},
        r":27: expected the begin of one of the 3 intervals of 'phones', got the end",
    ),
    "an interval too many": ({"declared": 1}, r"expected the end of the file, by the declared numbers .*got '1.0'"),
    "cut inside a text": ({"tail": '\n1.9\n2\n"a'}, "expected the end of the file"),
    "a number that is a word": ({"declared": 2, "tail": "\n<exists>"}, "expected the end of the file"),
    "a count with a fraction": ({"declared": 1.5}, r"expected the number of its items, got 1\.5"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_counts_are_compared_with_what_is_there(tmp_path: Path, case: str) -> None:
    options, message = DAMAGE[case]
    with pytest.raises(UserError, match=message):
        read_textgrid(write_short(tmp_path / "a.TextGrid", "0 1 a", "1 2 b", **options))


def test_times_behind_the_end_and_tiers_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'b' ends at 2\.5 s, the file at 2 s"):
        read_textgrid(write_short(tmp_path / "a.TextGrid", "0 1 a", "1 2.5 b"))
    path = write_short(tmp_path / "b.TextGrid", "0 2 a", tail='\n"IntervalTier"\n"phones"\n0\n2\n1\n0\n2\n"b"')
    path.write_text(path.read_text().replace("<exists>\n2", "<exists>\n3"))
    with pytest.raises(UserError, match="a second tier 'phones'"):
        read_textgrid(path)


def test_a_comment_is_no_data_and_a_missing_interval_stays_missing(tmp_path: Path) -> None:
    path = write_short(tmp_path / "a.TextGrid", "0 0.5 sil", "0.5 0.7 ", "1.5 2 sp")
    path.write_text(path.read_text().replace('"phones"', '"phones" ! 3 "of me"'))
    assert phones_of(read_textgrid(path)["phones"], path) == (Phone(0, 0.7, "SIL"), Phone(1.5, 2, "SIL"))
