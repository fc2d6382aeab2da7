"""A Mboshi repository that the test makes in; its tables, what is left out, errors, a clone and a training out."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpus_recipes import CorpusRecipe, write_lines
from recipe_folders import refuse, succeed

AUDIO, DEV, ALIGNMENTS = "full_corpus_newsplit/all", "full_corpus_newsplit/dev", "ZRC_scoring/mboshi/in"
# As the corpus names them: speaker, time, device, language, session, number.
FIRST, SECOND, THIRD = (
    "abiayi_2015-09-08-11-33-57_samsung-SM-T530_mdw_elicit_Dico18",
    "kouarata_2016-02-18-12-28-26_samsung-SM-T530_mdw_elicit_Part5",
    "martial_2015-09-07-15-24-49_samsung-SM-T530_mdw_elicit_Dico19",
)
GOOD = ("0.1100 0.1600 SIL", "0.1600 0.2000 W", "0.2000 0.2600 Á", "0.2600 0.3000 SIL", "0.3000 0.4300 Ώ")
TEXT, CLEANED = "Wá ώ.", "wá ώ"
# The aligner's output for an utterance whose name is the beginning of another's: phones of both.
OVERLAPPING = (*GOOD[:2], "0.1600 0.2100 B", "0.2000 0.2400 ERROR", *GOOD[2:])
OTHER_WORDS = (*GOOD, "0.4300 0.4400 ERROR", "0.4400 0.4500 B")
UTTERANCES = {
    f"{FIRST}_1": OVERLAPPING, f"{FIRST}_10": GOOD, f"{FIRST}_11": GOOD,
    f"{FIRST}_2": OTHER_WORDS, f"{FIRST}_200": GOOD,
    f"{SECOND}_12": GOOD, f"{SECOND}_13": GOOD, f"{THIRD}_14": GOOD, f"{THIRD}_15": GOOD,
}  # fmt: skip
HELD_OUT = (f"{FIRST}_11", f"{SECOND}_13", f"{THIRD}_15")
OPTIONS = ("--check_content", "false", "--mboshi_root")


def write_utterance(root: Path, name: str, phones: tuple[str, ...], seed: int) -> None:
    """Write one utterance's files, in dev/ too where the corpus has them."""
    samples = np.random.default_rng(seed).normal(0, 0.1, 8000)
    for folder in (AUDIO, DEV) if name in HELD_OUT else (AUDIO,):
        write_lines(root / folder / f"{name}.mb", [TEXT])
        write_lines(root / folder / f"{name}.mb.cleaned", [CLEANED])
        write_lines(root / folder / f"{name}.mb.cleaned.split", [" ".join(CLEANED.replace(" ", ""))])
        write_lines(root / folder / f"{name}.fr.cleaned", ["un arbre"])
        soundfile.write(root / folder / f"{name}.wav", samples, 16000, "PCM_16")
    write_lines(root / ALIGNMENTS / f"{name}.phn", phones)
    write_lines(root / ALIGNMENTS / f"{name}.wrd", ["0.1600 0.2600 wá"])


def make_mboshi(root: Path) -> Path:
    """Write nine half-second utterances of three speakers in the repository's layout, and what lies beside them."""
    for seed, (name, phones) in enumerate(UTTERANCES.items()):
        write_utterance(root, name, phones, seed)
    write_lines(root / ALIGNMENTS / f"{FIRST}_197.phn", GOOD)  # the repository has 27 alignments without audio
    write_lines(root / "README.md", ["# mboshi-french-parallel-corpus"])
    write_lines(root / "bak/full_corpus/train" / f"{FIRST}_10.mb", [TEXT])
    return root


def cut_audio(path: Path, num_bytes: int) -> None:
    path.write_bytes(path.read_bytes()[:-num_bytes])


def names(recipe: CorpusRecipe, dset: str) -> list[str]:
    return [line.split()[0] for line in recipe.tables(dset)["wav.scp"]]


def test_the_sets_and_what_is_left_out(corpus_recipe, tmp_path: Path) -> None:
    recipe, root = corpus_recipe("mboshi"), make_mboshi(tmp_path / "a corpus")
    output = recipe.prepare(*OPTIONS, root)
    assert "9 utterances; left out: 1 with phones that overlap, 1 with phones of another utterance" in output
    assert recipe.sets() == ["dev", "test", "train"]
    assert names(recipe, "train") == [f"{FIRST}_10", f"{FIRST}_200", f"{SECOND}_12"]
    assert names(recipe, "dev") == [f"{FIRST}_11", f"{SECOND}_13"]
    assert names(recipe, "test") == [f"{THIRD}_14", f"{THIRD}_15"]
    train = recipe.tables("train")
    assert train["wav.scp"][0] == f"{FIRST}_10 {root}/{AUDIO}/{FIRST}_10.wav"
    assert train["utt2spk"][0] == f"{FIRST}_10 abiayi" and train["utt2lang"][0] == f"{FIRST}_10 mdw"
    assert train["text"][0] == f"{FIRST}_10 wá ώ"
    assert [line for line in train["phones.ctm"] if line.startswith(f"{FIRST}_10 ")] == [
        f"{FIRST}_10 1 0.0400 0.0500 SIL",
        f"{FIRST}_10 1 0.0900 0.0400 W",
        f"{FIRST}_10 1 0.1300 0.0600 Á",
        f"{FIRST}_10 1 0.1900 0.0400 SIL",
        f"{FIRST}_10 1 0.2300 0.1300 Ώ",
    ]
    for dset in recipe.sets():
        for table, lines in recipe.tables(dset).items():
            keys = [line.split(" ", 1)[0].encode() for line in lines]
            assert keys == sorted(keys), f"{dset}/{table}"


def test_phones_without_tones(corpus_recipe, tmp_path: Path) -> None:
    recipe = corpus_recipe("mboshi")
    recipe.prepare(*OPTIONS, make_mboshi(tmp_path / "corpus"), "--keep_tones", "false")
    assert {line.split()[-1] for line in recipe.tables("test")["phones.ctm"]} == {"SIL", "W", "A", "Ω"}


@pytest.mark.parametrize(
    ("phone_shift", "lines"),
    [
        ("0", ["0.1100 0.0500 SIL", "0.1600 0.0400 W", "0.2000 0.0600 Á", "0.2600 0.0400 SIL", "0.3000 0.1300 Ώ"]),
        ("0.18", ["0.0000 0.0200 W", "0.0200 0.0600 Á", "0.0800 0.0400 SIL", "0.1200 0.1300 Ώ"]),
        ("-0.1", ["0.2100 0.0500 SIL", "0.2600 0.0400 W", "0.3000 0.0600 Á", "0.3600 0.0400 SIL", "0.4000 0.1000 Ώ"]),
    ],
)
def test_the_clock_of_the_phones_is_an_option(
    corpus_recipe, tmp_path: Path, phone_shift: str, lines: list[str]
) -> None:
    """What comes to lie before the audio or behind its end, 0.5 s here, is cut off."""
    recipe = corpus_recipe("mboshi")
    recipe.prepare(*OPTIONS, make_mboshi(tmp_path / "corpus"), "--phone_shift", phone_shift)
    assert recipe.tables("test")["phones.ctm"][: len(lines)] == [f"{THIRD}_14 1 {line}" for line in lines]


def test_a_clock_in_milliseconds_is_refused(corpus_recipe, tmp_path: Path) -> None:
    recipe, root = corpus_recipe("mboshi"), make_mboshi(tmp_path / "corpus")
    for value in ("70", "early", "nan"):
        assert f"'{value}': expected seconds between -1 and 1" in recipe.refuse(*OPTIONS, root, "--phone_shift", value)
    assert recipe.sets() == []


def test_audio_shorter_than_its_header_is_mended(corpus_recipe, tmp_path: Path) -> None:
    recipe, root = corpus_recipe("mboshi"), make_mboshi(tmp_path / "corpus")
    path = root / AUDIO / f"{THIRD}_14.wav"
    samples = soundfile.read(path, dtype="int16")[0]
    cut_audio(path, 726)
    output = recipe.prepare(*OPTIONS, root)
    assert "1 files are shorter than their header says: written anew to data/audio" in output
    entry = dict(line.split(" ", 1) for line in recipe.tables("test")["wav.scp"])[f"{THIRD}_14"]
    assert entry == f"{recipe.ssl1}/data/audio/{THIRD}_14.wav"
    assert np.array_equal(soundfile.read(entry, dtype="int16")[0], samples[:-363])
    assert Path(entry).stat().st_size == 44 + 2 * (8000 - 363)


DAMAGES = {
    "no alignments": (
        lambda root: (root / ALIGNMENTS).rename(root / "elsewhere"),
        "lacks ZRC_scoring/mboshi/in; expected",
    ),
    "no audio": (lambda root: [path.unlink() for path in (root / AUDIO).glob("*.wav")], "no *.wav in"),
    "a transcript is missing": (
        lambda root: (root / AUDIO / f"{FIRST}_10.mb.cleaned").unlink(),
        f"1 of 9 files are missing: {FIRST}_10.mb.cleaned; the copy is not complete",
    ),
    "an alignment is missing": (
        lambda root: (root / ALIGNMENTS / f"{SECOND}_12.phn").unlink(),
        f"1 of 9 files are missing: {SECOND}_12.phn",
    ),
    "audio cut short": (
        lambda root: cut_audio(root / AUDIO / f"{SECOND}_12.wav", 4000),
        f"{SECOND}_12.wav: 0.375 s of audio, but phones up to 0.430 s",
    ),
    "not audio": (
        lambda root: (root / AUDIO / f"{SECOND}_12.wav").write_text("version https://git-lfs.github.com/spec/v1"),
        f"{SECOND}_12.wav: not readable as WAV",
    ),
    "another rate": (
        lambda root: soundfile.write(root / AUDIO / f"{SECOND}_12.wav", np.zeros(4000), 8000, "PCM_16"),
        f"{SECOND}_12.wav: 8000 Hz, 1 channels; expected 16000 Hz, mono",
    ),
    "not an alignment": (
        lambda root: write_lines(root / ALIGNMENTS / f"{SECOND}_12.phn", [GOOD[0], "0.16 W"]),
        f"{SECOND}_12.phn:2: expected '<begin> <end> <phone>', got '0.16 W'",
    ),
    "an empty alignment": (
        lambda root: write_lines(root / ALIGNMENTS / f"{SECOND}_12.phn", []),
        f"{SECOND}_12.phn: no phones in it",
    ),
    "not UTF-8": (
        lambda root: (root / AUDIO / f"{FIRST}_10.mb.cleaned").write_bytes(b"w\xe1\n"),
        f"{FIRST}_10.mb.cleaned: not UTF-8",
    ),
    "no test speaker": (
        lambda root: [path.unlink() for path in (root / AUDIO).glob("martial*.wav")],
        "data/.new/test: no utterances for this set",
    ),
    "an unknown speaker": (
        lambda root: write_utterance(root, "ikoo_2015_Dico1_1", GOOD, 9),
        "speaker 'ikoo'; expected one of abiayi, kouarata, martial",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_corpus_is_one_clear_message(corpus_recipe, tmp_path: Path, damage: str) -> None:
    recipe, root = corpus_recipe("mboshi"), make_mboshi(tmp_path / "corpus")
    spoil, message = DAMAGES[damage]
    spoil(root)
    output = recipe.refuse(*OPTIONS, root)
    assert message in output, output
    assert recipe.sets() == []


def test_another_version_of_the_corpus_is_refused(corpus_recipe, tmp_path: Path) -> None:
    recipe = corpus_recipe("mboshi")
    assert "pass --check_content false" in recipe.refuse("--mboshi_root", make_mboshi(tmp_path / "corpus"))
    assert f"no folder {tmp_path}/nowhere" in recipe.refuse(MBOSHI=f"{tmp_path}/nowhere")
    assert recipe.sets() == []


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def published(tmp_path: Path) -> tuple[str, str]:
    """Address and commit of a repository with the corpus in it, which gives out parts, as public hosts do."""
    root = make_mboshi(tmp_path / "published")
    git(root, "init", "-q")
    for key in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        git(root, "config", key, "true")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "corpus")
    return f"file://{root}", git(root, "rev-parse", "HEAD")


def fetched(recipe: CorpusRecipe) -> list[str]:
    folder = recipe.ssl1 / "downloads" / "mboshi"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_what_the_recipe_reads_is_cloned(corpus_recipe, published) -> None:
    recipe, (url, commit) = corpus_recipe("mboshi"), published
    succeed(recipe.ssl1, "local/download.sh", "--url", url, "--commit", commit, "downloads")
    expected = [f"{AUDIO}/{name}{suffix}" for name in UTTERANCES for suffix in (".wav", ".mb.cleaned")]
    expected += [f"{DEV}/{name}.mb.cleaned" for name in HELD_OUT]
    expected += [f"{ALIGNMENTS}/{name}.phn" for name in (*UTTERANCES, f"{FIRST}_197")]
    assert fetched(recipe) == sorted(expected)
    assert "train: 2 speakers, 3 utterances" in recipe.prepare("--check_content", "false")
    assert f"{recipe.ssl1}/downloads/mboshi/{AUDIO}" in recipe.tables("train")["wav.scp"][0]


def test_a_stopped_clone_goes_on(corpus_recipe, published, tmp_path: Path) -> None:
    recipe, (url, commit) = corpus_recipe("mboshi"), published
    options = ("local/download.sh", "--url", url, "--commit", commit, "downloads")
    # A git that ends, like a line that breaks, when the audio whose names end in 1 is about to be fetched.
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    broken = tmp_path / "bin" / "git"
    write_lines(broken, ["#!/bin/sh", 'case "$*" in *"*1.wav"*) exit 128;; esac', f'exec {real} "$@"'])
    broken.chmod(0o755)
    output = refuse(recipe.ssl1, *options, PATH=f"{broken.parent}{os.pathsep}{os.environ['PATH']}")
    assert "run again to go on, or pass --mboshi_root" in output
    partial = recipe.ssl1 / "downloads/.mboshi_partial"
    assert fetched(recipe) == [] and (partial / AUDIO / f"{FIRST}_10.wav").exists()
    (partial / ".git/index.lock").touch()  # what a killed git leaves
    objects = set((partial / ".git/objects").rglob("*.pack"))
    (tmp_path / "published" / AUDIO / "since.txt").touch()
    succeed(recipe.ssl1, *options)
    assert objects and len([name for name in fetched(recipe) if name.endswith(".wav")]) == len(UTTERANCES)
    assert not partial.exists()


def test_a_repository_that_is_not_there_is_one_message(corpus_recipe, tmp_path: Path) -> None:
    recipe = corpus_recipe("mboshi")
    options = ("--url", f"file://{tmp_path}/nowhere", "downloads")
    assert "nowhere: fetching commit 83c5b428" in refuse(recipe.ssl1, "local/download.sh", *options)
    assert fetched(recipe) == []


@pytest.mark.recipes
def test_mboshi_trains(corpus_recipe, tmp_path: Path) -> None:
    recipe, root = corpus_recipe("mboshi"), make_mboshi(tmp_path / "corpus")
    recipe.train(f"--check_content false --mboshi_root {root}")
    dump = recipe.ssl1 / "dump" / "train"
    assert len((dump / "wav.scp").read_text().splitlines()) == 3
    assert len((dump / "phones.ctm").read_text().splitlines()) == 15


@pytest.mark.recipes
def test_runs_are_trained_once_and_say_what_they_lack(corpus_recipe, tmp_path: Path) -> None:
    recipe, root = corpus_recipe("mboshi"), make_mboshi(tmp_path / "corpus")
    hubert1 = recipe.folder / "hubert1"
    few = ("--rows", "iter0 online", "--seeds", "3", "--updates", "1", "--num_workers", "0", "--evaluate", "false")
    tiny = ("--overrides", "--batch_bins 16000 --encoder_conf num_layers=1 dim=48 ffn_dim=48")
    assert "kmeans/iter0_mfcc_km100/labels/train is missing: ./run.sh" in refuse(hubert1, "local/runs.sh", *few)
    options = ("--stop_stage", "5", "--train_stop_iter", "0", "--local_data_opts")
    succeed(hubert1, "./run.sh", *options, f"--check_content false --mboshi_root {root}")
    first = succeed(hubert1, "local/runs.sh", *few, *tiny)
    assert (
        "iter0, seed 3: 1 updates on kmeans/iter0_mfcc_km100/labels" in first and "online, seed 3: 2 updates" in first
    )
    runs = hubert1 / "exp/runs"
    assert sorted(path.parent.name for path in runs.glob("*/train.done")) == ["iter0_seed3", "online_seed3"]
    assert "updates on" not in succeed(hubert1, "local/runs.sh", *few, *tiny)
    assert "iter0_seed4 is not trained" in refuse(hubert1, "local/runs.sh", "--rows", "iter1", "--seeds", "4")
    changed = succeed(hubert1, "local/runs.sh", "--rows", "hubert_masks", *few[2:], *tiny)
    assert (
        "hubert_masks, seed 3: 2 updates" in changed
        and "mask_span: 10" in (runs / "hubert_masks_seed3/config.yaml").read_text()
    )
    assert "unknown 'iter9': no row of this script, no conf/train_iter9_mini.yaml" in refuse(
        hubert1, "local/runs.sh", "--rows", "iter9"
    )
