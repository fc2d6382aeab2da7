"""Transcripts in, token lists and tokens of all types out."""

import sys
from pathlib import Path

import pytest

from espnet2.bin.tokenize_text import main
from espnet2.text.cleaner import make_cleaner
from espnet2.text.token_list import read_token_list
from espnet2.text.tokenizer import make_tokenizer, read_symbols
from espnet2.utils.errors import UserError

TRANSCRIPT = """\
utt1 Dr. Smith paid 25 dollars
utt2 hello <laugh> world
utt3 the dog jumps over the other dog
"""


@pytest.fixture
def dump_set(tmp_path) -> Path:
    folder = tmp_path / "dump with space" / "train"
    folder.mkdir(parents=True)
    (folder / "transcript").write_text(TRANSCRIPT)
    return folder


def make_list(dump_set: Path, tmp_path: Path, *options: str) -> list[str]:
    output = tmp_path / "list" / "tokens.txt"
    main(["--input", str(dump_set), "--output", str(output), "--write_vocabulary", "true", *options])
    lines = output.read_text().split("\n")
    assert lines[:2] == ["<blank>", "<unk>"] and lines[-2:] == ["<sos/eos>", ""]
    read_token_list(output)  # what we write, we accept
    return lines[2:-2]


def test_words_come_by_frequency(dump_set, tmp_path) -> None:
    words = make_list(dump_set, tmp_path, "--token_type", "word")
    assert words[:3] == ["dog", "the", "25"]
    assert len(words) == 13


def test_tacotron_cleans_words(dump_set, tmp_path) -> None:
    words = make_list(dump_set, tmp_path, "--token_type", "word", "--cleaner", "tacotron")
    assert {"DOCTOR", "SMITH", "TWENTY", "FIVE", "LAUGH"} <= set(words)
    assert "25" not in words


def test_characters_keep_non_linguistic_symbols(dump_set, tmp_path) -> None:
    symbols = make_list(dump_set, tmp_path, "--token_type", "char", "--non_linguistic_symbols", "<laugh>")
    assert "<laugh>" in symbols and "<space>" in symbols and "<" not in symbols


def test_phones_are_taken_as_they_stand(tmp_path) -> None:
    (tmp_path / "transcript").write_text("utt1 HH AH0 L OW1\nutt2 L OW1\n")
    assert make_list(tmp_path, tmp_path, "--token_type", "phn") == ["L", "OW1", "AH0", "HH"]


def test_bpe_is_trained_repeatably_and_encodes(dump_set, tmp_path) -> None:
    model = tmp_path / "list" / "bpe.model"
    options = ["--token_type", "bpe", "--bpemodel", str(model), "--non_linguistic_symbols", "<laugh>"]
    pieces = make_list(dump_set, tmp_path, *options, "--nbpe", "32")
    assert len(pieces) == 32 - 3 and "<laugh>" in pieces  # sentencepiece counts <unk>, <s> and </s>
    first = model.read_bytes()
    make_list(dump_set, tmp_path, *options, "--nbpe", "32")
    assert model.read_bytes() == first
    output = tmp_path / "tokens"
    main(["--token_type", "bpe", "--bpemodel", str(model), "--input", str(dump_set), "--output", str(output)])
    lines = output.read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["utt1", "utt2", "utt3"]
    assert set(lines[1].split()[1:]) <= set(pieces)
    assert "".join(lines[2].split()[1:]).replace("▁", " ").strip() == "the dog jumps over the other dog"


@pytest.mark.parametrize(("number", "message"), [("4000", "too high"), ("5", "smaller than required_chars")])
def test_bpe_of_an_impossible_size_is_refused(dump_set, tmp_path, number: str, message: str) -> None:
    with pytest.raises(UserError, match=f"--nbpe {number} does not suit this text.*{message}"):
        make_list(dump_set, tmp_path, "--token_type", "bpe", "--bpemodel", str(tmp_path / "m"), "--nbpe", number)
    assert not (tmp_path / "m").exists() and not (tmp_path / "list").exists()


def test_a_damaged_bpe_model_is_refused(tmp_path) -> None:
    model = tmp_path / "bpe.model"
    model.write_bytes(b"not a model")
    with pytest.raises(UserError, match="not a sentencepiece model"):
        make_tokenizer("bpe", bpe_model=model)
    with pytest.raises(UserError, match="no such file"):
        make_tokenizer("bpe", bpe_model=tmp_path / "absent")


def test_missing_or_empty_transcripts_are_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="no transcripts"):
        make_list(tmp_path, tmp_path, "--token_type", "char")
    (tmp_path / "transcript").write_text("utt1\nutt2\n")
    with pytest.raises(UserError, match="no text after the utterance ids"):
        make_list(tmp_path, tmp_path, "--token_type", "char")


@pytest.mark.parametrize("token_type", ["char", "bpe"])
def test_a_bad_line_is_named(tmp_path, token_type: str) -> None:
    (tmp_path / "transcript").write_bytes(b"utt1 a b c\nutt2 a\r\n")
    with pytest.raises(UserError, match=r"^.*transcript:2: line ends in CR LF"):
        make_list(tmp_path, tmp_path, "--token_type", token_type, "--bpemodel", str(tmp_path / "bpe.model"))
    assert [path.name for path in tmp_path.iterdir()] == ["transcript"]


def test_characters_of_unusual_blanks_are_one_space() -> None:
    assert make_tokenizer("char")("a\u00a0 b") == ["a", "<space>", "b"]


def test_symbols_may_come_from_a_file(tmp_path) -> None:
    (tmp_path / "symbols").write_text("<laugh>\n<cough>\n")
    assert read_symbols(str(tmp_path / "symbols")) == read_symbols("<laugh>,<cough>") == ("<laugh>", "<cough>")
    assert read_symbols("") == ()


def test_unknown_names_are_refused() -> None:
    for make in (
        lambda: make_tokenizer("chars"),
        lambda: make_cleaner("basic"),
        lambda: make_tokenizer("phn", g2p="x"),
    ):
        with pytest.raises(UserError, match="expected one of"):
            make()


def test_a_cleaner_that_is_not_installed_names_the_remedy(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tacotron_cleaner.cleaners", None)
    with pytest.raises(UserError, match="pip install espnet_tts_frontend"):
        make_cleaner("tacotron")


def test_g2p_never_downloads_unasked(monkeypatch) -> None:
    nltk = pytest.importorskip("nltk")
    monkeypatch.setattr(nltk.data, "path", [])
    with pytest.raises(UserError, match=r"nltk\.downloader averaged_perceptron_tagger_eng"):
        make_tokenizer("phn", g2p="g2p_en")
