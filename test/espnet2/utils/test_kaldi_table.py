"""Kaldi tables: what is read and written, and file:line in every complaint."""

import pytest

from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import iterate_table, read_table, write_table


def test_round_trip(tmp_path):
    rows = [("a", "1 2  3"), ("b", ""), ("ä", "日本 語"), ("no\u00a0break", "x\u3000y")]
    assert write_table(tmp_path / "sub" / "t", rows) == 4
    assert list(iterate_table(tmp_path / "sub" / "t")) == rows
    assert read_table(tmp_path / "sub" / "t") == dict(rows)
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["t"]


def test_blanks_around_the_columns(tmp_path):
    (tmp_path / "t").write_text(" a \t x y  \nb\t\nc z")
    assert read_table(tmp_path / "t") == {"a": "x y", "b": "", "c": "z"}


BAD = {
    "CR LF": (b"a 1\r\n", r"t:1: line ends in CR LF; convert the file: sed"),
    "Latin-1": (b"a 1\nb \xe4\n", r"t:2: not UTF-8"),
    "Latin-1 key": (b"\xe4 1\n", r"t:1: not UTF-8"),
    "empty line": (b"a 1\n \nb 2\n", r"t:2: empty line"),
    "twice": (b"a 1\nb 2\na 3\n", r"t:3: key 'a' appears twice; run utils/fix_data_dir.sh"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables(tmp_path, case):
    content, message = BAD[case]
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_table(tmp_path / "t")


def test_a_missing_table(tmp_path):
    with pytest.raises(UserError, match="t: no such file"):
        read_table(tmp_path / "t")


def test_a_failing_writer_leaves_the_old_table(tmp_path):
    write_table(tmp_path / "t", [("a", "old")])

    def rows():
        yield "a", "new"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_table(tmp_path / "t", rows())
    assert read_table(tmp_path / "t") == {"a": "old"}
    assert len(list(tmp_path.iterdir())) == 1
