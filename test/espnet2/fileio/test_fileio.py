"""What programs of ESPnet's recipes import in, the tables and values that they get out."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from espnet2.fileio.datadir_writer import DatadirWriter
from espnet2.fileio.read_text import (
    load_num_sequence_text,
    read_2columns_text,
    read_label,
    read_multi_columns_text,
)
from espnet2.fileio.score_scp import MIDReader, SingingScoreReader, SingingScoreWriter, XMLReader
from espnet2.text.build_tokenizer import build_tokenizer
from espnet2.text.phoneme_tokenizer import PhonemeTokenizer
from espnet2.utils import types
from espnet2.utils.errors import UserError


def test_a_data_directory_is_written(tmp_path: Path) -> None:
    with DatadirWriter(tmp_path / "train") as writer:
        writer["wav.scp"]["a"] = "x/a.wav"
        writer["wav.scp"]["b"] = "x/b.wav"
        table = writer["text"]
        table["a"] = "one"
        table["b"] = "\u0434\u0432\u0430"
        with pytest.raises(RuntimeError, match="is a folder"):
            writer["c"] = "no table"
        with pytest.raises(RuntimeError, match="is a table"):
            table["part"]["x"] = "y"
    assert (tmp_path / "train" / "wav.scp").read_text() == "a x/a.wav\nb x/b.wav\n"
    assert (tmp_path / "train" / "text").read_text(encoding="utf-8") == "a one\nb \u0434\u0432\u0430\n"


def test_keys_that_come_twice_or_differ_are_told(tmp_path: Path) -> None:
    writer = DatadirWriter(tmp_path)
    writer["wav.scp"]["a"] = "x"
    with pytest.warns(UserWarning, match="a comes twice"):
        writer["wav.scp"]["a"] = "y"
    writer["text"]["b"] = "x"
    with pytest.warns(UserWarning, match="different keys"):
        writer.close()


def test_tables_are_read(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_text("a 1,2\nb  3\nc\n")
    assert read_2columns_text(path) == {"a": "1,2", "b": "3", "c": ""}
    assert read_2columns_text(path, {"b"}) == {"b": "3"}
    assert read_multi_columns_text(path) == ({"a": ["1,2"], "b": ["3"], "c": [""]}, None)
    path.write_text("a 1,2\nb 3\n")
    assert load_num_sequence_text(path) == {"a": [1, 2], "b": [3]}
    assert load_num_sequence_text(path, "csv_float")["a"] == [1.0, 2.0]
    with pytest.raises(UserError, match=r"a: expected numbers \(text_int\)"):
        load_num_sequence_text(path, "text_int")
    with pytest.raises(ValueError, match="csv_str"):
        load_num_sequence_text(path, "csv_str")
    path.write_text("a 0 0.5 k 0.5 1 a\n")
    assert read_label(path) == {"a": [["0", "0.5", "k"], ["0.5", "1", "a"]]}
    path.write_text("a 0 0.5\n")
    with pytest.raises(UserError, match="a: expected <begin> <end> <phone>"):
        read_label(path)
    path.write_text("a 1\na 2\n")
    with pytest.raises(UserError, match="'a' appears twice"):
        read_2columns_text(path)


def test_scores_go_round(tmp_path: Path) -> None:
    score = {"tempo": 120, "item_list": ["st", "et", "lyric", "midi"], "note": [[0.0, 0.5, "\u3042", 60]]}
    with SingingScoreWriter(tmp_path / "dump", tmp_path / "data" / "score.scp") as writer:
        writer["a"] = score
        assert writer.get_path("a") == str(tmp_path / "dump" / "a.json")
    reader = SingingScoreReader(tmp_path / "data" / "score.scp")
    assert dict(reader) == {"a": score} and "b" not in reader
    assert "\u3042" in (tmp_path / "dump" / "a.json").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "dump" / "a.json").read_bytes()) == score


def element(midi: int, seconds: float, lyric: str | None = None, *, breath: bool = False) -> SimpleNamespace:
    """A note of music21, or a rest where the pitch is 0."""
    marks = [SimpleNamespace(name="breath mark")] if breath else []
    pitch = SimpleNamespace(midi=midi)
    kind = {"isRest": midi == 0, "isChord": False}
    return SimpleNamespace(pitch=pitch, seconds=seconds, lyric=lyric, articulations=marks, **kind)


def test_notes_of_a_score(tmp_path: Path, monkeypatch) -> None:
    """The same notes as ESPnet's reader gave for this score with music21 10.5 (compared on 2026-11-30)."""
    elements = [element(0, 0.6), element(60, 0.6, "ka"), element(60, 0.6), element(62, 0.3, "\u30fc")]
    elements += [element(64, 0.6, "ki", breath=True), element(64, 0.6, "br"), element(0, 0.6), element(67, 1.2, "ku")]
    elements += [element(69, 0.6), element(0, 1.2)]
    part = SimpleNamespace(flatten=lambda: SimpleNamespace(notesAndRests=elements))
    marks = [(0, 1, SimpleNamespace(number=None)), (1, 2, SimpleNamespace(number=100.0))]
    score = SimpleNamespace(parts=[part], metronomeMarkBoundaries=lambda: marks)
    fake = SimpleNamespace(converter=SimpleNamespace(parse=lambda path: score))
    monkeypatch.setitem(sys.modules, "music21", fake)
    (tmp_path / "score.scp").write_text("a x.xml\n")
    tempo, notes = XMLReader(tmp_path / "score.scp")["a"]
    assert tempo == 100
    assert [(note.lyric, note.midi, round(note.st, 4), round(note.et, 4)) for note in notes] == [
        ("P", 0, 0.0, 0.6),
        ("ka", 60, 0.6, 1.8),
        ("\u2014", 62, 1.8, 2.1),
        ("ki", 64, 2.1, 2.7),
        ("B", 0, 2.7, 2.7),
        ("P", 0, 2.7, 3.9),
        ("ku", 67, 3.9, 5.1),
        ("\u2014", 69, 5.1, 5.7),
    ]


@pytest.mark.parametrize(("reader", "package"), [(XMLReader, "music21"), (MIDReader, "miditoolkit")])
def test_a_missing_package_is_named(tmp_path: Path, monkeypatch, reader: type, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "score.scp").write_text("a x.xml\n")
    with pytest.raises(UserError, match=rf"need {package}: pip install 'espnet2-ssl\[singing\]'"):
        reader(tmp_path / "score.scp")


@pytest.mark.parametrize(("text", "value"), [("Yes", True), ("1", True), ("off", False), ("F", False)])
def test_yes_and_no(text: str, value: bool) -> None:
    assert types.str2bool(text) is value
    with pytest.raises(ValueError, match="expected true or false, got 'maybe'"):
        types.str2bool("maybe")


@pytest.mark.parametrize(
    ("text", "size"), [("none", None), ("10", 10), ("1.5 KB", 1500), ("3MiB", 3 * 2**20), ("7 bytes", 7)]
)
def test_sizes(text: str, size: int | None) -> None:
    assert types.humanfriendly_parse_size_or_none(text) == size
    with pytest.raises(ValueError, match="expected a size"):
        types.humanfriendly_parse_size_or_none("10 parsecs")


def test_pairs_need_their_number() -> None:
    assert types.str2pair_str("('a', \"b\")") == ("a", "b")
    with pytest.raises(ValueError, match="expected 3 values"):
        types.str2triple_str("a,b")


def test_tokenizers_of_recipes() -> None:
    assert build_tokenizer("char").text2tokens("a b") == ["a", "<space>", "b"]
    assert build_tokenizer("char", non_linguistic_symbols=["<N>"]).text2tokens("a<N>") == ["a", "<N>"]
    assert build_tokenizer("word", delimiter=",").text2tokens("a b,c") == ["a b", "c"]
    assert build_tokenizer("word").tokens2text(["a", "b"]) == "a b"
    assert build_tokenizer("phn", g2p_type=None).g2p("k a") == ["k", "a"]
    with pytest.raises(UserError, match="g2p g2p_zz: expected one of none, g2p_en,"):
        PhonemeTokenizer("g2p_zz")
    with pytest.raises(UserError, match="espeak_ng_klingon: expected one of"):
        PhonemeTokenizer("espeak_ng_klingon")
