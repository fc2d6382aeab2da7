"""Folders of all sorts of audio that the test makes in; audio_folder's tables, lists, resumption and a training out."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpus_recipes import write_audio, write_lines
from recipe_folders import contents
from spoken import pause, vowels, write_with_pyav

NO_CUT = ("--cut", "none", "--nj", "1")
TABLES = ("wav.scp", "utt2spk", "spk2utt", "segments", "utt2lang")


def make_folder(root: Path, *, num_speakers: int = 4) -> Path:
    """Two files for each speaker, in all formats, with quirks in their names; one deeper, one directly in the root."""
    suffixes = (".wav", ".FLAC", ".mp3", ".Ogg", ".opus", ".WAV")
    for number in range(num_speakers):
        for index in range(2):
            suffix = suffixes[(2 * number + index) % len(suffixes)]
            write_audio(root / f"Speaker {number}" / f"talk-{index}{suffix}", seed=10 * number + index)
    write_audio(root / "Speaker 0/deeper/talk-0.wav", seed=97, rate=8000, channels=2)
    write_audio(root / "alone.wav", seed=98)
    write_with_pyav(root / "Speaker 1/phone.M4A", vowels(0.7))
    write_lines(root / "Speaker 1/notes.txt", ["no audio"])
    write_lines(root / "Speaker 1/._talk.wav", ["a Mac leaves such files"])
    return root


def data(recipe) -> dict[str, bytes]:
    """The tables, without what only speeds up the next call."""
    content_of = contents(recipe.ssl1 / "data")
    return {name: value for name, value in content_of.items() if not name.startswith("audio_folder/")}


def lines(recipe, table: str) -> list[str]:
    """The lines of a table of both sets."""
    return sorted(line for dset in recipe.sets() for line in recipe.tables(dset).get(table, []))


def test_formats_names_and_speakers_from_folders(corpus_recipe, tmp_path: Path) -> None:
    recipe, root = corpus_recipe("audio_folder"), make_folder(tmp_path / "the audio")
    recipe.prepare("--audio_root", root, "--speaker_level", "1", "--language", "de", *NO_CUT)
    assert recipe.sets() == ["dev", "train"]
    speakers = {line.split()[0] for line in lines(recipe, "spk2utt")}
    assert {f"Speaker_{number}" for number in range(4)} < speakers and len(
        speakers
    ) == 5  # the file in the root is alone
    held_out = {line.split()[1] for line in recipe.tables("dev")["utt2spk"]}
    assert held_out and not held_out & {line.split()[1] for line in recipe.tables("train")["utt2spk"]}
    files = {line.split(" ", 1)[1] for line in lines(recipe, "wav.scp")}
    assert len(files) == 11 and str(root / "Speaker 1/phone.M4A") in files
    assert {line.split()[1] for line in lines(recipe, "utt2lang")} == {"de"} and not lines(recipe, "segments")
    assert (recipe.ssl1 / "data/unusable.tsv").read_text() == ""


def test_the_same_for_any_number_of_jobs(corpus_recipe, tmp_path: Path) -> None:
    recipe, root = corpus_recipe("audio_folder"), make_folder(tmp_path / "audio")
    for number in range(4):  # of all before: 176 files, two chunks
        shutil.copytree(root, root / f"copy {number}" / "below")
    options = ("--audio_root", root, "--speaker_level", "-1", "--drop_duplicates", "true")
    options += ("--cut", "fixed", "--cut_above", "0.4", "--max_seconds", "0.3", "--min_seconds", "0.1")
    recipe.prepare(*options, "--nj", "3")
    first = data(recipe)
    shutil.rmtree(recipe.ssl1 / "data")
    recipe.prepare(*options, "--nj", "1")
    assert data(recipe) == first
    for dset in recipe.sets():
        for table in recipe.tables(dset).values():
            keys = [line.split(" ", 1)[0].encode() for line in table]
            assert keys == sorted(keys)
    assert (recipe.ssl1 / "data/unusable.tsv").read_text().count("\tduplicate\t") == 15 * 11


def test_long_files_are_cut_at_pauses_and_silence_is_listed(corpus_recipe, tmp_path: Path) -> None:
    recipe, root = corpus_recipe("audio_folder"), tmp_path / "audio"
    write_with_pyav(root / "anna/long.m4a", np.concatenate([vowels(3), pause(3), vowels(4, 180), pause(2)]))
    write_audio(root / "bert/short.wav", 0.8)
    (root / "carl").mkdir()
    soundfile.write(root / "carl/quiet.wav", pause(10), 16000)
    recipe.prepare("--audio_root", root, "--speaker_level", "1", "--cut_above", "5", "--nj", "2")
    parts = [line.split()[1:] for line in lines(recipe, "segments")]
    assert [part[0].rsplit("_", 1)[0] for part in parts] == ["anna-long", "anna-long", "bert-short"]
    spans = np.array([[float(value) for value in part[1:]] for part in parts])
    assert np.allclose(spans, [(0, 3.2), (5.9, 10.2), (0, 0.8)], atol=0.4), spans
    assert (recipe.ssl1 / "data/unusable.tsv").read_text().startswith("carl/quiet.wav\tno_speech\t10.0 s")


def test_speakers_and_languages_from_a_table(corpus_recipe, tmp_path: Path) -> None:
    recipe, root = corpus_recipe("audio_folder"), make_folder(tmp_path / "audio")
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.name not in ("notes.txt", "._talk.wav"))
    rows = [f"{path.relative_to(root)}\tperson {number % 3}" for number, path in enumerate(files)]
    rows[0] = f"{files[0]}\tperson 0\tfr"  # absolute, with a language
    table = write_lines(tmp_path / "speakers.tsv", reversed(rows))
    options = ("--audio_root", root, "--speakers", table, *NO_CUT)
    recipe.prepare(*options)
    assert {line.split()[0] for line in lines(recipe, "spk2utt")} == {"person_0", "person_1", "person_2"}
    assert sorted(line.split()[1] for line in lines(recipe, "utt2lang")) == ["fr"] + ["und"] * 10
    write_lines(table, rows[2:])
    output = recipe.refuse(*options)
    assert "2 of 11 files cannot be used" in output and "(no_speaker)" in output and "--speakers lacks them" in output
    recipe.prepare(*options, "--max_unreadable_share", "0.5")
    assert len(lines(recipe, "wav.scp")) == 9


WRONG_TABLES = {
    "one column": (["Speaker 0/talk-0.wav"], "speakers.tsv:1: expected"),
    "two speakers": (["alone.wav\ta", "alone.wav\tb"], "two lines for alone.wav"),
    "other paths": (["elsewhere/x.wav\ta"], "not one of its paths is a file"),
}


@pytest.mark.parametrize("case", WRONG_TABLES)
def test_a_wrong_table_is_one_clear_message(corpus_recipe, tmp_path: Path, case: str) -> None:
    recipe, root = corpus_recipe("audio_folder"), make_folder(tmp_path / "audio", num_speakers=2)
    rows, message = WRONG_TABLES[case]
    table = write_lines(tmp_path / "speakers.tsv", rows)
    output = recipe.refuse("--audio_root", root, "--speakers", table, "--max_unreadable_share", "1", *NO_CUT)
    assert message in output and recipe.sets() == []


def test_unreadable_files_are_listed_and_too_many_are_an_error(corpus_recipe, tmp_path: Path) -> None:
    recipe, root = corpus_recipe("audio_folder"), make_folder(tmp_path / "audio")
    write_lines(root / "Speaker 2/text.wav", ["no audio"])
    (root / "Speaker 2/empty.mp3").touch()
    write_audio(root / "Speaker 2/bad\tname.wav")
    options = ("--audio_root", root, "--speaker_level", "1", *NO_CUT)
    output = recipe.refuse(*options)
    assert "3 of 14 files cannot be used, more than --max_unreadable_share 0.01" in output and recipe.sets() == []
    recipe.prepare(*options, "--max_unreadable_share", "0.3")
    rows = [line.split("\t")[:2] for line in (recipe.ssl1 / "data/unusable.tsv").read_text().splitlines()]
    expected = [["bad\\tname.wav", "bad_name"], ["empty.mp3", "empty"], ["text.wav", "not_audio"]]
    assert rows == [[f"Speaker 2/{name}", reason] for name, reason in expected]


def test_a_repeated_call_looks_at_new_and_changed_files_only(corpus_recipe, tmp_path: Path) -> None:
    recipe, root = corpus_recipe("audio_folder"), make_folder(tmp_path / "audio")
    options = ("--audio_root", root, "--valid_by", "file", "--valid_share", "0.2", *NO_CUT)
    assert "11 files, 11 of them to inspect" in recipe.prepare(*options)
    first = data(recipe)
    assert "11 files, 0 of them to inspect" in recipe.prepare(*options)
    assert data(recipe) == first
    write_audio(root / "Speaker 3/new.wav", seed=5)
    write_audio(root / "alone.wav", seconds=0.9, seed=6)
    (root / "Speaker 0/talk-0.wav").unlink()
    assert "11 files, 2 of them to inspect" in recipe.prepare(*options)
    files = [line.split(" ", 1)[1] for line in lines(recipe, "wav.scp")]
    assert str(root / "Speaker 3/new.wav") in files and str(root / "Speaker 0/talk-0.wav") not in files
    kept = {line.split()[0] for line in recipe.tables("dev")["wav.scp"]}
    gone = {line.split()[0] for line in first["dev/wav.scp"].decode().splitlines()} - kept
    assert all(name.startswith("talk_0") for name in gone)  # others stay held out, whatever is added


def test_a_stopped_inspection_goes_on(corpus_recipe, tmp_path: Path) -> None:
    """A job that was killed leaves whole lines and half a line; files before it are not opened again."""
    recipe, root = corpus_recipe("audio_folder"), make_folder(tmp_path / "audio")
    options = ("--audio_root", root, "--speaker_level", "1", *NO_CUT)
    recipe.prepare(*options)
    expected = data(recipe)
    work = recipe.ssl1 / "data/audio_folder"
    results = next(work.glob("results.*"))
    whole = results.read_text()
    results.unlink()
    shutil.rmtree(recipe.ssl1 / "data/train")
    (recipe.ssl1 / "cmd.sh").unlink()
    (recipe.ssl1 / "cmd.sh").write_text("export train_cmd=false\n")  # a cluster whose jobs all die
    assert recipe.refuse(*options)
    (recipe.ssl1 / "cmd.sh").write_text("export train_cmd=run.pl\n")
    chunks = work / f"chunks.{json.loads((work / 'plan.json').read_text())['key']}"
    chunks.mkdir()
    kept = whole.splitlines()[:4]
    kept[1] = kept[1].replace("0.5", "0.75")  # what no inspection would find
    (chunks / "0000000.partial").write_text("\n".join(kept) + '\n["Speaker 1/ta')
    recipe.prepare(*options)
    assert data(recipe) == expected
    assert results.read_text() == whole.replace(whole.splitlines()[1], kept[1])


def test_one_speaker_cannot_be_in_both_sets(corpus_recipe, tmp_path: Path) -> None:
    recipe, root = corpus_recipe("audio_folder"), tmp_path / "audio"
    for number in range(3):
        write_audio(root / "anna" / f"{number}.wav", seed=number)
    options = ("--audio_root", root, "--speaker_level", "1", *NO_CUT)
    assert "--valid_by file" in recipe.refuse(*options)
    recipe.prepare(*options, "--valid_by", "file")
    assert len(recipe.tables("dev")["wav.scp"]) == 1


def test_a_missing_folder_says_what_was_expected(corpus_recipe, tmp_path: Path) -> None:
    recipe = corpus_recipe("audio_folder")
    assert "--audio_root DIR, or AUDIO_FOLDER in db.sh" in recipe.refuse(AUDIO_FOLDER="")
    assert f"no folder {tmp_path}/nowhere" in recipe.refuse("--audio_root", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "expected files that end in .wav, .flac" in recipe.refuse("--audio_root", tmp_path / "empty")
    write_audio(tmp_path / "empty/a.wav")
    options = ("--audio_root", tmp_path / "empty")
    assert "expected 0 < min_seconds < max_seconds" in recipe.refuse(*options, "--min_seconds", "30")
    assert "--valid_share 2.0: expected" in recipe.refuse(*options, "--valid_share", "2")
    assert recipe.sets() == []


@pytest.mark.recipes
def test_a_folder_trains(corpus_recipe, tmp_path: Path) -> None:
    """Cut and whole files, one of them m4a, names with blanks."""
    recipe, root = corpus_recipe("audio_folder"), make_folder(tmp_path / "audio")
    write_with_pyav(root / "Speaker 2/a long one.m4a", np.concatenate([vowels(2), pause(2), vowels(3)]))
    recipe.train(f"--audio_root {root} --speaker_level 1 --cut_above 4")
    lengths = [
        int(line.split()[1])
        for dset in ("train", "dev")
        for line in (recipe.ssl1 / "dump" / dset / "utt2num_samples").read_text().splitlines()
    ]
    assert len(lengths) == 13 and max(lengths) > 40000
