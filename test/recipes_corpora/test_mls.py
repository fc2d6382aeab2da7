"""Folders in the layout of MLS, made here, in; the tables of its recipe and two updates of training out."""

from collections.abc import Callable
from pathlib import Path

import pytest
from corpus_recipes import CorpusRecipe, write_audio, write_lines

# (language, suffix) -> split -> names; 1014 begins as 10148 does, and reads in two languages.
NAMES = {
    ("polish", ".flac"): {
        "train": ["10148_10119_000000", "10148_10119_000001", "1014_7_000000"],
        "dev": ["6892_10119_000000"],
        "test": ["7_1_000000"],
    },
    ("german_opus", ".opus"): {
        "train": ["99_5_000000", "98_5_000000"],
        "dev": ["1014_8_000000", "95_5_000000"],
        "test": ["96_5_000000"],
    },
}


def make_corpus(root: Path) -> Path:
    """mls_polish with FLAC, mls_german_opus with Opus files; one transcript is missing, the lines are unsorted."""
    for (language, suffix), splits in NAMES.items():
        for split, names in splits.items():
            folder = root / f"mls_{language}" / split
            for seed, name in enumerate(names):
                speaker, book, _ = name.split("_")
                write_audio(folder / "audio" / speaker / book / f"{name}{suffix}", seed=seed)
            lines = [f"{name}\tzażółć  gęślą" for name in reversed(names) if name != "10148_10119_000001"]
            write_lines(folder / "transcripts.txt", lines)
            write_lines(folder / "segments.txt", [f"{name}\thttp://www.archive.org/x.mp3\t0.1\t0.6" for name in names])
    write_lines(root / "mls_polish/train/limited_supervision/9hr/handles.txt", ["1014_7_000000"])
    return root


@pytest.fixture
def recipe(corpus_recipe: Callable[[str], CorpusRecipe]) -> CorpusRecipe:
    return corpus_recipe("mls")


def test_languages_are_joined(recipe: CorpusRecipe, tmp_path: Path) -> None:
    root = make_corpus(tmp_path / "a corpus")
    recipe.prepare_with_any_nj("--mls_root", root, "--languages", "polish,german")
    assert recipe.sets() == ["dev", "test", "train"]
    train = recipe.tables("train")
    names = ["1014-7-000000", "10148-10119-000000", "10148-10119-000001", "98-5-000000", "99-5-000000"]
    assert [line.split()[0] for line in train["wav.scp"]] == names
    assert train["wav.scp"][0] == f"1014-7-000000 {root}/mls_polish/train/audio/1014/7/1014_7_000000.flac"
    assert train["wav.scp"][4].endswith("/mls_german_opus/train/audio/99/5/99_5_000000.opus")
    assert train["text"][1:3] == ["10148-10119-000000 zażółć gęślą", "10148-10119-000001"]
    assert [line.split()[1] for line in train["utt2lang"]] == ["pl"] * 3 + ["de"] * 2
    assert train["spk2utt"][1] == "10148 10148-10119-000000 10148-10119-000001"


def test_a_speaker_of_two_splits_is_named(recipe: CorpusRecipe, tmp_path: Path) -> None:
    output = recipe.prepare("--mls_root", make_corpus(tmp_path), "--languages", "german polish")
    assert "dev: 1 speakers are in train too: 1014" in output
    assert "polish, train: 3 utterances, 1 without a transcript" in output


def test_a_missing_or_partial_corpus_says_what_was_expected(recipe: CorpusRecipe, tmp_path: Path) -> None:
    root = make_corpus(tmp_path / "mls")
    assert "pass --download true" in recipe.refuse(MLS="")
    assert "MLS has no 'polnish'; it has german," in recipe.refuse("--mls_root", root, "--languages", "polnish")
    output = recipe.refuse("--mls_root", root, "--languages", "dutch")
    assert f"lacks mls_dutch; expected {root}/mls_dutch; found mls_german_opus, mls_polish" in output
    (root / "mls_polish/train/audio/1014/7/1014_7_000000.flac").unlink()
    output = recipe.refuse("--mls_root", root)
    assert "1 transcripts have no audio: 1014_7_000000; the copy is not complete" in output
    (root / "mls_polish/dev/transcripts.txt").unlink()
    assert "mls_polish lacks dev/transcripts.txt; expected" in recipe.refuse("--mls_root", root)
    assert not recipe.sets()


def test_the_same_name_in_two_formats_is_refused(recipe: CorpusRecipe, tmp_path: Path) -> None:
    root = make_corpus(tmp_path)
    write_audio(root / "mls_polish/dev/audio/6892/10119/6892_10119_000000.opus")
    assert "6892_10119_000000 appears twice: " in recipe.refuse("--mls_root", root)


def test_a_transcript_of_another_form_is_named(recipe: CorpusRecipe, tmp_path: Path) -> None:
    root = make_corpus(tmp_path)
    write_lines(root / "mls_polish/test/transcripts.txt", ["7_1_000000 no tab"])
    assert "transcripts.txt:1: expected '<speaker>_<book>_<number><tab><text>'" in recipe.refuse("--mls_root", root)


@pytest.mark.recipes
def test_it_trains(recipe: CorpusRecipe, tmp_path: Path) -> None:
    recipe.train(f"--mls_root {make_corpus(tmp_path / 'mls')} --languages polish,german")
