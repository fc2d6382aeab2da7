"""TIMIT trees that the test makes, in the layouts people have, in; the recipe's tables, errors and a training out."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpus_recipes import write_lines

# Two speakers to train on, one of dev, one of the core test set, one of neither, each where the corpus has it.
SPEAKERS = (
    ("train", "dr1", "fcjf0"), ("train", "dr2", "marc0"), ("test", "dr1", "faks0"),
    ("test", "dr1", "mdab0"), ("test", "dr2", "mcmb0"),
)  # fmt: skip
SENTENCES = ("sa1", "sx217", "si648")
# 0.5 s: silences in a row, a glottal stop, a vowel that folds, a last label that ends after the audio.
LABELS = ("0 800 h#", "800 1200 pau", "1200 2400 q", "2400 4000 ux", "4000 4800 kcl", "4800 5600 k", "5600 8003 h#")
DATA_SIZE = 8000  # samples


def write_sphere(path: Path, samples: np.ndarray) -> None:
    """Write 16-bit NIST SPHERE by hand: a header of 1024 bytes, then the samples, low byte first."""
    fields = ["channel_count -i 1", f"sample_count -i {len(samples)}", "sample_rate -i 16000", "sample_n_bytes -i 2"]
    fields += ["sample_byte_format -s2 01", "sample_sig_bits -i 16", "end_head"]
    header = "\n".join(["NIST_1A", "   1024", *fields, ""]).encode()
    path.write_bytes(header.ljust(1024, b" ") + samples.astype("<i2").tobytes())


def write_sentence(folder: Path, sentence: str, upper: bool, riff: bool) -> None:
    """Write one sentence: audio, transcript, words and phones."""
    name = sentence.upper() if upper else sentence
    suffix = (lambda text: text.upper()) if upper else (lambda text: text)
    samples = np.random.default_rng(len(str(folder)) + len(name)).normal(0, 2000, DATA_SIZE)
    if riff:
        soundfile.write(folder / f"{name}.{suffix('wav')}", samples.astype(np.int16), 16000, "PCM_16", format="WAV")
    else:
        write_sphere(folder / f"{name}.{suffix('wav')}", samples)
    write_lines(folder / f"{name}.{suffix('txt')}", [f"0 {DATA_SIZE} Don't ask me, {sentence}."])
    write_lines(folder / f"{name}.{suffix('wrd')}", ["1200 5600 don't"])
    write_lines(folder / f"{name}.{suffix('phn')}", LABELS)


def make_timit(folder: Path, *, upper: bool = True, riff: bool = False) -> Path:
    """Write a small TIMIT: TRAIN/ and TEST/ with DR1 to DR8, five speakers in them."""
    case = str.upper if upper else str.lower
    for part in ("train", "test"):
        for region in range(1, 9):
            (folder / case(part) / case(f"dr{region}")).mkdir(parents=True)
    for names in SPEAKERS:
        speaker = folder.joinpath(*map(case, names))
        speaker.mkdir()
        for sentence in SENTENCES:
            write_sentence(speaker, sentence, upper, riff)
    write_lines(folder / case("doc") / "README.DOC", ["about"])
    return folder


def test_the_sets_and_the_folded_phones(corpus_recipe, tmp_path: Path) -> None:
    recipe, corpus = corpus_recipe("timit"), make_timit(tmp_path / "a corpus" / "TIMIT")
    recipe.prepare_with_any_nj("--timit_root", corpus)
    assert recipe.sets() == ["dev", "test", "train"]
    train = recipe.tables("train")
    utterances = ["fcjf0-si648", "fcjf0-sx217", "marc0-si648", "marc0-sx217"]
    assert [line.split()[0] for line in train["wav.scp"]] == utterances  # not sa1: everybody speaks it
    assert train["wav.scp"][0] == f"fcjf0-si648 {corpus}/TRAIN/DR1/FCJF0/SI648.WAV"
    assert train["text"][0] == "fcjf0-si648 Don't ask me, si648."
    assert train["spk2gender"] == ["fcjf0 f", "marc0 m"] and train["utt2lang"][0] == "fcjf0-si648 en"
    assert [line for line in train["phones.ctm"] if line.startswith("fcjf0-si648")] == [
        "fcjf0-si648 1 0.0000 0.0750 SIL",  # h# and pau; the glottal stop behind them is no phone of the 39
        "fcjf0-si648 1 0.1500 0.1000 uw",
        "fcjf0-si648 1 0.2500 0.0500 SIL",
        "fcjf0-si648 1 0.3000 0.0500 k",
        "fcjf0-si648 1 0.3500 0.1502 SIL",
    ]
    assert {line.split()[1] for line in recipe.tables("dev")["utt2spk"]} == {"faks0"}
    assert {line.split()[1] for line in recipe.tables("test")["utt2spk"]} == {"mdab0"}


OTHERS = [(False, False, "timit/timit"), (True, True, "data"), (False, True, ".")]


@pytest.mark.parametrize(("upper", "riff", "below"), OTHERS)
def test_other_distributions_give_the_same_ids(corpus_recipe, tmp_path: Path, upper, riff, below) -> None:
    recipe = corpus_recipe("timit")
    make_timit(tmp_path / "corpus" / below, upper=upper, riff=riff)
    recipe.prepare("--timit_root", tmp_path / "corpus")
    assert [line.split()[0] for line in recipe.tables("dev")["text"]] == ["faks0-si648", "faks0-sx217"]


def test_a_riff_copy_beside_each_file_is_no_second_sentence(corpus_recipe, tmp_path: Path) -> None:
    recipe, corpus = corpus_recipe("timit"), make_timit(tmp_path / "TIMIT")
    for path in list(corpus.rglob("*.WAV")):
        soundfile.write(path.with_name(f"{path.name}.wav"), np.zeros(800), 16000)
    recipe.prepare("--timit_root", corpus)
    entries = [line.split(" ", 1)[1] for line in recipe.tables("train")["wav.scp"]]
    assert len(entries) == 4 and all(entry.endswith(".WAV") for entry in entries)


def test_all_61_phones_and_the_sentences_of_all(corpus_recipe, tmp_path: Path) -> None:
    recipe, corpus = corpus_recipe("timit"), make_timit(tmp_path / "TIMIT")
    recipe.prepare("--timit_root", corpus, "--phone_set", "61", "--use_sa", "true")
    tables = recipe.tables("test")
    assert len(tables["utt2spk"]) == 3
    assert [line.split()[-1] for line in tables["phones.ctm"][:7]] == ["h#", "pau", "q", "ux", "kcl", "k", "h#"]


def test_missing_transcripts_and_labels_are_counted(corpus_recipe, tmp_path: Path) -> None:
    recipe, corpus = corpus_recipe("timit"), make_timit(tmp_path / "TIMIT")
    (corpus / "TRAIN/DR1/FCJF0/SI648.TXT").unlink()
    (corpus / "TRAIN/DR1/FCJF0/SX217.PHN").unlink()
    output = recipe.prepare("--timit_root", corpus)
    assert "train: 2 speakers, 4 utterances; 1 without a transcript; 1 without phone labels" in output
    assert recipe.tables("train")["text"][0] == "fcjf0-si648"
    assert not any(line.startswith("fcjf0-sx217") for line in recipe.tables("train")["phones.ctm"])


def remove(corpus: Path, name: str) -> None:
    for path in sorted((corpus / name).rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
    (corpus / name).rmdir()


DAMAGES = {
    "no test half": (lambda corpus: remove(corpus, "TEST"), "lacks TEST; expected TRAIN and TEST (or train and test)"),
    "a region is missing": (lambda corpus: remove(corpus, "TRAIN/DR5"), "lacks TRAIN/DR5; expected"),
    "no core test speaker": (lambda corpus: remove(corpus, "TEST/DR1/MDAB0"), "no recording of the test set"),
    "unknown label": (
        lambda corpus: write_lines(corpus / "TEST/DR1/FAKS0/SX217.PHN", ["0 100 h#", "100 200 xx"]),
        "SX217.PHN:2: 'xx' is none of TIMIT's 61 phones",
    ),
    "not a label file": (
        lambda corpus: write_lines(corpus / "TEST/DR1/FAKS0/SX217.PHN", ["h# 0 100"]),
        "SX217.PHN:1: expected '<first sample> <last sample> <label>'",
    ),
    "a speaker in both halves": (
        lambda corpus: (corpus / "TEST/DR1/MDAB0").rename(corpus / "TEST/DR1/FCJF0"),
        "speaker fcjf0 is in TRAIN and in TEST",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_corpus_is_one_clear_message(corpus_recipe, tmp_path: Path, damage: str) -> None:
    recipe, corpus = corpus_recipe("timit"), make_timit(tmp_path / "TIMIT")
    spoil, message = DAMAGES[damage]
    spoil(corpus)
    output = recipe.refuse("--timit_root", corpus, "--nj", "1")
    assert message in output, output


def test_a_missing_root_says_what_was_expected(corpus_recipe, tmp_path: Path) -> None:
    recipe = corpus_recipe("timit")
    assert "where is TIMIT (LDC93S1)? Pass --timit_root" in recipe.refuse(TIMIT="")
    assert f"no folder {tmp_path}/nowhere" in recipe.refuse("--timit_root", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "nothing that looks like TIMIT" in recipe.refuse("--timit_root", tmp_path / "empty")
    assert recipe.sets() == []


@pytest.mark.recipes
def test_sphere_trains(corpus_recipe, tmp_path: Path) -> None:
    recipe, corpus = corpus_recipe("timit"), make_timit(tmp_path / "TIMIT")
    recipe.train(f"--timit_root {corpus}")
    dump = recipe.ssl1 / "dump" / "train"
    assert len((dump / "wav.scp").read_text().splitlines()) == 4
    assert (dump / "utt2num_samples").read_text().splitlines()[0] == f"fcjf0-si648 {DATA_SIZE}"
    assert len((dump / "phones.ctm").read_text().splitlines()) == 20
