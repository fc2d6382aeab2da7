"""A corpus in LibriSpeech's layout, made here, in; the tables of its recipe and two updates of training out."""

from collections.abc import Callable
from pathlib import Path

import pytest
from corpus_recipes import CorpusRecipe, write_audio, write_lines

PARTS = {"train-clean-100": ("103", "1034"), "train-other-500": ("20",), "dev-clean": ("84",), "dev-other": ("116",)}
TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 0.5
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "{tier}"
        xmin = 0
        xmax = 0.5
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.2
            text = "sil"
        intervals [2]:
            xmin = 0.2
            xmax = 0.5
            text = "AH1"
"""


def make_corpus(folder: Path) -> Path:
    """LibriSpeech/<part>/<speaker>/1/<speaker>-1-000<i>.flac; one transcript is missing, one suffix in capitals."""
    root = folder / "a corpus" / "LibriSpeech"
    speakers = []
    for part, names in PARTS.items():
        for speaker in names:
            chapter = root / part / speaker / "1"
            utterances = [f"{speaker}-1-000{number}" for number in range(3)]
            for seed, name in enumerate(utterances):
                write_audio(chapter / f"{name}.flac", seed=seed)
            write_lines(chapter / f"{speaker}-1.trans.txt", [f"{name} SOME WORDS" for name in utterances])
            gender = "F" if speaker == "20" else "M"
            speakers.append(f"{speaker:<5}| {gender} | {part:<17}| 25.03 | Some One")
    (root / "train-other-500/20/1/20-1-0001.flac").rename(root / "train-other-500/20/1/20-1-0001.FLAC")
    write_lines(root / "train-other-500/20/1/20-1.trans.txt", ["20-1-0000 A", "20-1-0002 C"])
    write_lines(root / "SPEAKERS.TXT", ["; a comment | M |", *speakers])
    return root


def make_alignments(folder: Path) -> Path:
    """TextGrids of one speaker and a .lab file of another, beside words that are not to be read."""
    for number in range(3):
        path = folder / "LibriSpeech/dev-clean/84/1" / f"84-1-000{number}.TextGrid"
        write_lines(path, TEXTGRID.format(tier="phones").splitlines())
    write_lines(folder / "lab/phone/train-other-500/20/1/20-1-0000.lab", ["0.0\t0.1\tsil", "0.1\t0.4\tM"])
    write_lines(folder / "lab/word/train-other-500/20/1/20-1-0000.lab", ["0.0\t0.4\tmatthew"])
    return folder


PART_OPTION = ("--parts", " ".join(PARTS))


@pytest.fixture
def recipe(corpus_recipe: Callable[[str], CorpusRecipe]) -> CorpusRecipe:
    return corpus_recipe("librispeech")


def test_sets_are_the_parts_and_what_they_join_to(recipe: CorpusRecipe, tmp_path: Path) -> None:
    corpus, alignments = make_corpus(tmp_path), make_alignments(tmp_path / "aligned")
    recipe.prepare_with_any_nj("--librispeech_root", corpus, "--alignments", alignments, *PART_OPTION)
    assert recipe.sets() == ["dev", "dev_clean", "dev_other", "train_clean_100", "train_other_500"]
    train = recipe.tables("train_other_500")
    folder = corpus / "train-other-500/20/1"
    assert train["wav.scp"][1] == f"20-1-0001 {folder}/20-1-0001.FLAC"
    assert train["text"] == ["20-1-0000 A", "20-1-0001", "20-1-0002 C"] and train["spk2gender"] == ["20 f"]
    assert train["phones.ctm"] == ["20-1-0000 1 0.0000 0.1000 SIL", "20-1-0000 1 0.1000 0.3000 M"]
    dev = recipe.tables("dev")
    assert [line.split()[0] for line in dev["spk2utt"]] == ["116", "84"]
    assert dev["phones.ctm"][:2] == ["84-1-0000 1 0.0000 0.2000 SIL", "84-1-0000 1 0.2000 0.3000 AH"]
    assert [line.split()[0] for line in recipe.tables("train_clean_100")["spk2utt"]] == ["103", "1034"]


def test_all_three_training_parts_make_train_960(recipe: CorpusRecipe, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path)
    write_audio(corpus / "train-clean-360/7/2/7-2-0000.flac")  # no transcripts at all
    output = recipe.prepare("--librispeech_root", corpus.parent, "--parts", " ".join([*PARTS, "train-clean-360"]))
    assert len(recipe.tables("train_960")["utt2spk"]) == 10 and "phones.ctm" not in recipe.tables("dev")
    assert "train_960: 10 utterances, 2 without a transcript, 0 with phone times" in output


def test_a_missing_or_partial_corpus_says_what_was_expected(recipe: CorpusRecipe, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path)
    assert "expected " in recipe.refuse("--librispeech_root", tmp_path / "none", *PART_OPTION)
    output = recipe.refuse("--librispeech_root", corpus)  # all seven parts
    assert "lacks train-clean-360, test-clean, test-other; expected " in output and "found SPEAKERS.TXT" in output
    (corpus / "dev-other/116/1/116-1-0001.flac").unlink()
    output = recipe.refuse("--librispeech_root", corpus, *PART_OPTION)
    assert "no audio for 1 of 3 transcripts: 116-1-0001; unpack the part again" in output
    assert not recipe.sets()
    assert "--librispeech_root is required" in recipe.refuse("--download", "false", LIBRISPEECH="")


def test_twice_the_same_utterance_is_refused(recipe: CorpusRecipe, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path)
    write_audio(corpus / "dev-other/84/1/84-1-0000.flac")
    assert "appear twice: 84-1-0000 (" in recipe.refuse("--librispeech_root", corpus, *PART_OPTION)


@pytest.mark.parametrize(
    ("content", "message"),
    [(TEXTGRID.format(tier="words"), "no tier 'phones'; it has words"), ("<html>", "expected a Praat TextGrid")],
)
def test_alignments_of_another_kind_are_refused(
    recipe: CorpusRecipe, tmp_path: Path, content: str, message: str
) -> None:
    alignments = write_lines(tmp_path / "aligned/84-1-0000.TextGrid", content.splitlines()).parent
    options = ("--librispeech_root", make_corpus(tmp_path), "--alignments", alignments, *PART_OPTION)
    assert message in recipe.refuse(*options) and not recipe.sets()


@pytest.mark.recipes
def test_it_trains(recipe: CorpusRecipe, tmp_path: Path) -> None:
    make_corpus(tmp_path)
    (tmp_path / "a corpus").rename(tmp_path / "corpus")  # --local_data_opts cannot hold blanks
    options = f"--librispeech_root {tmp_path}/corpus --parts {','.join(PARTS)}"
    recipe.train(options, "--train_set", "train_clean_100 train_other_500", "--valid_set", "dev")
