"""Utterances in any order in, the sorted tables of write_data_dir and the mistakes it refuses out."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

from espnet2.data_prep.tables import Phone, Summary, Utterance, write_data_dir
from espnet2.utils.errors import UserError


def lines(folder: Path) -> dict[str, list[str]]:
    return {path.name: path.read_text(encoding="utf-8").splitlines() for path in folder.iterdir()}


def test_the_tables_are_sorted_by_bytes_and_valid(tmp_path: Path) -> None:
    speakers = ("é", "a", "B", "a1", "10", "1")
    utterances = [Utterance(f"{s}-{u}", s, f"/a b/{s}{u}.wav") for s in speakers for u in (10, 9)]
    random.Random(0).shuffle(utterances)
    assert write_data_dir(tmp_path / "set", iter(utterances)) == Summary(12, 6)
    tables = lines(tmp_path / "set")
    assert tables.keys() == {"wav.scp", "utt2spk", "spk2utt"}
    assert tables["spk2utt"] == [f"{s} {s}-10 {s}-9" for s in ("1", "10", "B", "a", "a1", "é")]
    assert tables["wav.scp"][0] == "1-10 /a b/110.wav" and tables["utt2spk"][-1] == "é-9 é"
    for name in ("wav.scp", "utt2spk"):
        assert [line.split()[0] for line in tables[name]] == sorted(utterance.utt_id for utterance in utterances)
    assert not [path for path in tmp_path.iterdir() if path.name != "set"]  # nothing is left beside
    validate = [ROOT / "utils/validate_data_dir.sh", "--no-feats", "--no-text", tmp_path / "set"]
    assert subprocess.run(validate, check=False).returncode == 0


def test_optional_tables_are_written_when_one_utterance_has_them(tmp_path: Path) -> None:
    phones = (Phone(0.0, 0.1, "SIL"), Phone(0.1, 0.35, "AH"))
    utterances = [
        Utterance("s-r-2", "s", "r.wav", "two\u3000 words\t", "en", 1.5, 2.0, "s-r", "f"),
        Utterance("s-r-1", "s", "r.wav", None, None, 0.0, 1.25, "s-r", "f", phones),
    ]
    write_data_dir(tmp_path / "set", utterances)
    assert lines(tmp_path / "set") == {
        "wav.scp": ["s-r r.wav"],
        "segments": ["s-r-1 s-r 0.000 1.250", "s-r-2 s-r 1.500 2.000"],
        "utt2spk": ["s-r-1 s", "s-r-2 s"],
        "spk2utt": ["s s-r-1 s-r-2"],
        "spk2gender": ["s f"],
        "text": ["s-r-1", "s-r-2 two words"],
        "utt2lang": ["s-r-1 und", "s-r-2 en"],
        "phones.ctm": ["s-r-1 1 0.0000 0.1000 SIL", "s-r-1 1 0.1000 0.2500 AH"],
    }
    validate = [ROOT / "utils/validate_data_dir.sh", "--no-feats", tmp_path / "set"]
    assert subprocess.run(validate, check=False).returncode == 0


MISTAKES = {
    "no utterances for this set": [],
    "appear twice: s-1 (a.wav and b.wav)": [Utterance("s-1", "s", "a.wav"), Utterance("s-1", "s", "b.wav")],
    "two files for the recording r, one is b.wav": [
        Utterance("s-1", "s", "a.wav", start=0, end=1, recording="r"),
        Utterance("s-2", "s", "b.wav", start=0, end=1, recording="r"),
    ],
    "has no begin and end": [Utterance("s-1", "s", "a", start=0, end=1, recording="s-r"), Utterance("s-2", "s", "b")],
    "the end is not after the begin": [Utterance("s-1", "s", "a", start=1, end=1, recording="r")],
    "utterance id 's 1' is empty or has blanks": [Utterance("s 1", "s", "a")],
    "cannot hold the path 'a\\nb'": [Utterance("s-1", "s", "a\nb")],
    "not UTF-8": [Utterance("s-1", "s", "a\udcff.wav")],
    "speaker s has the genders ['f', 'm']": [Utterance(f"s-{g}", "s", g, gender=g) for g in ("m", "f")],
}


@pytest.mark.parametrize("message", MISTAKES)
def test_a_mistake_is_one_message_and_the_old_folder_stays(tmp_path: Path, message: str) -> None:
    write_data_dir(tmp_path / "set", [Utterance("old-1", "old", "old.wav")])
    with pytest.raises(UserError) as error:
        write_data_dir(tmp_path / "set", MISTAKES[message])
    assert message in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert lines(tmp_path / "set")["utt2spk"] == ["old-1 old"]


def test_memory_does_not_grow_with_the_utterances(tmp_path: Path) -> None:
    program = """if True:
        import resource, sys
        from espnet2.data_prep.tables import Utterance, write_data_dir
        write_data_dir(sys.argv[1], (Utterance(f"{i % 50}-{i}", str(i % 50), f"/corpus/{i}.wav") for i in range(10)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        write_data_dir(sys.argv[1], (Utterance(f"{i % 50}-{i}", str(i % 50), f"/corpus/{i}.wav") for i in range(50000)))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    command = [sys.executable, "-c", program, str(tmp_path / "set")]
    grown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(grown.stdout) < 4000  # KiB; as Python objects they would take 20 MB
    assert len((tmp_path / "set" / "utt2spk").read_text().splitlines()) == 50000


def test_spk2gender_needs_the_gender_of_every_speaker(tmp_path: Path, capsys) -> None:
    utterances = [Utterance("a-1", "a", "1", gender="f"), Utterance("a-2", "a", "2"), Utterance("b-1", "b", "3")]
    write_data_dir(tmp_path / "set", utterances)
    assert "spk2gender" not in lines(tmp_path / "set") and "1 of 2 speakers without" in capsys.readouterr().out
    write_data_dir(tmp_path / "set", utterances[:2])
    assert lines(tmp_path / "set")["spk2gender"] == ["a f"]
