"""A tree in Libri-Light's layout, made here, in; the segments of its recipe and two updates of training out."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from corpus_recipes import CorpusRecipe, write_audio, write_lines

BOOK = "a_book_64kb_mp3"


def add_file(root: Path, where: str, activity: list[list[float]], seconds: float = 4.0, suffix: str = ".flac") -> None:
    """<subset>/<speaker>/<book>/<file> with its .json."""
    path = write_audio(root / f"{where}{suffix}", seconds)
    described = {"speaker": where.split("/")[1], "book_meta": {"id": "1"}, "snr": 5.4, "voice_activity": activity}
    write_lines(path.with_suffix(".json"), [json.dumps(described)])


def make_corpus(root: Path) -> Path:
    """Speakers 20 and 103 in small, 20 and 9 in medium; one name in two books, one suffix in capitals."""
    add_file(root, f"small/20/{BOOK}/one_01", [[0.5, 1.0], [1.1, 1.5], [3.0, 3.9]])
    add_file(root, f"small/103/{BOOK}/two 01", [[0.0, 4.0]], suffix=".FLAC")
    add_file(root, "medium/20/another_book/one_01", [[0.2, 0.9]], 1.0)
    add_file(root, f"medium/9/{BOOK}/three_01", [[2.0, 3.0], [0.1, 1.0]])
    write_audio(root / f"small/20/{BOOK}/._one_01.flac")  # a Mac's shadow
    return root


CUTTING = ("--max_seconds", "1.5", "--max_pause_seconds", "0.5", "--min_seconds", "0.8", "--dev_hours", "0.0004")


@pytest.fixture
def recipe(corpus_recipe: Callable[[str], CorpusRecipe]) -> CorpusRecipe:
    return corpus_recipe("librilight")


def test_voice_activity_becomes_segments(recipe: CorpusRecipe, tmp_path: Path) -> None:
    root = make_corpus(tmp_path / "a corpus")
    recipe.prepare_with_any_nj("--librilight_root", root, "--subsets", "small,medium", *CUTTING)
    assert recipe.sets() == ["dev", "train"]
    both = {name: [] for name in ("segments", "wav.scp", "utt2lang", "spk2utt")}
    for dset in recipe.sets():
        for name in both:
            both[name] += recipe.tables(dset)[name]
    assert sorted(both["segments"]) == [
        "103-two_01-0000000 103-two_01 0.000 1.333",
        "103-two_01-0000133 103-two_01 1.333 2.667",
        "103-two_01-0000267 103-two_01 2.667 4.000",
        "20-a_book_64kb_mp3_one_01-0000050 20-a_book_64kb_mp3_one_01 0.500 1.500",  # medium has one_01 too
        "20-a_book_64kb_mp3_one_01-0000300 20-a_book_64kb_mp3_one_01 3.000 3.900",
        "9-three_01-0000010 9-three_01 0.100 1.000",
        "9-three_01-0000200 9-three_01 2.000 3.000",
    ]
    assert f"103-two_01 {root}/small/103/{BOOK}/two 01.FLAC" in both["wav.scp"]
    assert {line.split()[1] for line in both["utt2lang"]} == {"en"}
    speakers = [[line.split()[0] for line in recipe.tables(dset)["spk2utt"]] for dset in recipe.sets()]
    assert sorted(speakers[0] + speakers[1]) == ["103", "20", "9"]  # none in both sets


def test_a_name_in_two_books_stays_apart(recipe: CorpusRecipe, tmp_path: Path) -> None:
    root = make_corpus(tmp_path / "corpus")
    recipe.prepare("--librilight_root", root, "--subsets", "small medium", *CUTTING, "--min_seconds", "0.5")
    lines = [line for dset in recipe.sets() for line in recipe.tables(dset)["wav.scp"] if line.startswith("20-")]
    assert [line.split()[0] for line in sorted(lines)] == ["20-a_book_64kb_mp3_one_01", "20-one_01"]


def test_a_stopped_call_goes_on(recipe: CorpusRecipe, tmp_path: Path) -> None:
    root = make_corpus(tmp_path / "corpus")
    description = root / f"medium/9/{BOOK}/three_01.json"
    whole = description.read_text()
    description.write_text(whole[:40])
    options = ("--librilight_root", root, "--subsets", "small,medium", *CUTTING, "--nj", "1")
    assert "three_01.json: expected Libri-Light's 'speaker' and 'voice_activity'" in recipe.refuse(*options)
    parts = sorted((recipe.ssl1 / "data/.work").glob("*/*"))
    assert len(parts) == 2 and not recipe.sets()  # speakers 103 and 20 were read
    description.write_text(whole)
    (root / f"small/20/{BOOK}/one_01.json").write_text("not read again")
    output = recipe.prepare(*options)
    assert "going on with what was read before" in output
    assert recipe.sets() == ["dev", "train"] and not (recipe.ssl1 / "data/.work").exists()


def test_files_that_were_cut_already_are_utterances(recipe: CorpusRecipe, tmp_path: Path) -> None:
    for speaker in ("20", "103"):
        for number in range(2):
            write_audio(tmp_path / "cut/small" / speaker / f"1/file_{number:04d}.flac")
    recipe.prepare_with_any_nj("--librilight_root", tmp_path / "cut", "--segmented", "true", "--dev_hours", "0.02")
    train, dev = recipe.tables("train"), recipe.tables("dev")
    assert "segments" not in train and len(train["utt2spk"]) == len(dev["utt2spk"]) == 2
    assert train["utt2spk"][0].split()[0].endswith("-file_0000")


def test_a_missing_or_partial_corpus_says_what_was_expected(recipe: CorpusRecipe, tmp_path: Path) -> None:
    root = make_corpus(tmp_path / "corpus")
    output = recipe.refuse("--librilight_root", root, "--subsets", "small,large")
    assert f"lacks large; expected {root}/small, {root}/large; found medium, small" in output
    assert "--librilight_root" in recipe.refuse(LIBRILIGHT="")
    (root / "empty").mkdir()
    output = recipe.refuse("--librilight_root", root, "--subsets", "empty")
    assert "expected <speaker>/<book>/<file>.flac below it" in output
    for path in root.rglob("*.json"):
        path.unlink()
    output = recipe.refuse("--librilight_root", root)
    assert "2 audio files have no .json" in output and "pass --segmented true" in output and not recipe.sets()


def test_a_json_of_another_speaker_is_refused(recipe: CorpusRecipe, tmp_path: Path) -> None:
    root = make_corpus(tmp_path / "corpus")
    (root / "small/20").rename(root / "small/21")
    assert "its speaker is 20, its folder is that of 21" in recipe.refuse("--librilight_root", root)


@pytest.mark.recipes
def test_it_trains(recipe: CorpusRecipe, tmp_path: Path) -> None:
    root = make_corpus(tmp_path / "corpus")
    (root / f"small/103/{BOOK}/two 01.FLAC").rename(root / f"small/103/{BOOK}/two 01.flac")
    recipe.train(f"--librilight_root {root} --subsets small,medium {' '.join(CUTTING)}")
