"""Tasks of SUPERB with sequences, trials, turns and queries: data that would give a wrong figure is one message."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from superb_corpora import prepare_sequences
from tiny_units import run_program

from espnet2.utils.errors import UserError


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return prepare_sequences(tmp_path_factory.mktemp("superb"))


THIRD = "SPEAKER test0 1 0.1 0.2 <NA> <NA> z <NA> <NA>\n"


def _replaced(table: str, value: str) -> str:
    """The same value for every utterance."""
    return "".join(f"{line.split()[0]} {value}\n" for line in table.splitlines())


def _rewrite(table: str, change: Callable[[str], str]) -> Callable[[Path], object]:
    return lambda folder: (folder / table).write_text(change((folder / table).read_text()))


@pytest.mark.parametrize(
    ("task", "damage", "message"),
    [
        ("pr", _rewrite("dev/text", lambda text: text.replace(text.split()[1], "", 99)[:9]), "no text of"),
        ("asr", _rewrite("train/text", lambda text: _replaced(text, "A")), "one token"),
        ("sf", _rewrite("train/slots", lambda text: text.replace("track artist", "O O")), "no slot at all"),
        ("sf", _rewrite("test/slots", lambda text: text.replace("O track", "track")), "2 slots, its text 3 words"),
        ("sf", _rewrite("test/slots", lambda text: text.replace("track artist", "O O")), "nothing to judge by"),
        ("asr", _rewrite("test/text", lambda text: text + "nobody AB\n"), "nobody not in wav.scp"),
        ("asr", _rewrite("test/text", lambda text: _replaced(text, "ab")), "another alphabet or case"),
        ("asv", lambda folder: (folder / "test/trials").unlink(), "test/trials: no such file"),
        ("asv", _rewrite("test/trials", lambda text: text.replace(" nontarget", " target")), "trials of one kind"),
        ("asv", _rewrite("test/trials", lambda text: text.replace("id10004", "id10009", 1)), "has no audio in wav.scp"),
        ("asv", _rewrite("train/utt2spk", lambda text: _replaced(text, "id10001")), "one speaker"),
        ("sd", _rewrite("test/rttm", lambda text: text + THIRD), "3 speakers, the head is for 2"),
        ("sd", _rewrite("dev/rttm", lambda text: text.replace("dev1", "dev9")), "not in rttm"),
        ("sd", _rewrite("dev/rttm", lambda text: text.replace(" 1 ", " one two ", 1)), "rttm:1: expected 'SPEAKER"),
        ("sd", _rewrite("test/rttm", lambda text: re.sub(r" 1 (\S+) \S+", r" 1 \1 0.0", text)), "nobody speaks"),
        ("qbe", _rewrite("test/matches", lambda text: _replaced(text, "d0 d1 d2 d3")), "is in all 4 documents"),
        ("qbe", _rewrite("dev/matches", lambda text: text.replace("d1", "elsewhere")), "document elsewhere is not in"),
        ("qbe", _rewrite("test/matches", lambda text: "eval0\neval1\n"), "no query is in any document"),
        ("qbe", lambda folder: shutil.rmtree(folder / "docs"), "docs/wav.scp: no such file"),
        ("lid", _rewrite("train/utt2lang", lambda text: text.replace(" deu", " eng")), "one language only"),
        ("lid", _rewrite("test/utt2lang", lambda text: text.replace(" deu", " fra")), "fra is none of train's"),
        ("ml_mono", lambda folder: [shutil.rmtree(path) for path in folder.glob("*1")], "no folder <language>/train"),
        ("ml_mono", lambda folder: shutil.rmtree(folder / "eng1/train"), "eng1/train/wav.scp: no such file"),
    ],
)  # fmt: skip
def test_data_that_would_give_a_wrong_figure_is_refused(data, tmp_path, task, damage, message):
    shutil.copytree(data / task, tmp_path / "data" / task)
    damage(tmp_path / "data" / task)
    words = ["--data", tmp_path / "data", "--output", tmp_path / "exp", "--systems", "logmel", "--tasks", task]
    with pytest.raises(UserError, match=message):
        run_program("ssl_superb", *words)
    assert not (tmp_path / "exp").exists()


def test_more_speakers_than_orders_can_be_tried_for_are_refused(data, tmp_path):
    """Five speakers have 120 orders: the loss would take minutes of every update."""
    words = ["--data", data, "--output", tmp_path / "exp", "--systems", "logmel", "--tasks", "sd"]
    with pytest.raises(UserError, match=r"num_speakers"):
        run_program("ssl_superb", *words, "--options", "sd.num_speakers=5")
    assert not (tmp_path / "exp").exists()


def test_turns_behind_their_audio_are_of_other_audio(data, tmp_path):
    shutil.copytree(data / "sd", tmp_path / "data/sd")
    _rewrite("test/rttm", lambda text: text.replace("SPEAKER test0 1 ", "SPEAKER test0 1 1", 1))(tmp_path / "data/sd")
    words = ["--data", tmp_path / "data", "--output", tmp_path / "exp", "--systems", "logmel"]
    with pytest.raises(UserError, match=r"the turns of test0 end at .* its audio at 2.00 s"):
        run_program("ssl_superb", *words)


@pytest.mark.parametrize("words", [("--cache_gb", "nan"), ("--cache_gb", "-1"), ("--fs", "0")])
def test_budgets_and_rates_are_numbers(data, tmp_path, words):
    """A budget that is no number would be none at all."""
    with pytest.raises(UserError, match=words[0]):
        run_program("ssl_superb", "--data", data, "--output", tmp_path / "exp", "--systems", "logmel", *words)
    assert not (tmp_path / "exp").exists()
