"""AISHELL-1 trees and archives that the test makes in; the recipe's tables, errors and a training out."""

import shutil
import tarfile
from pathlib import Path

import pytest
from corpus_recipes import write_audio, write_lines
from recipe_folders import refuse, succeed

SPEAKERS = {"train": ("S0002", "S0003"), "dev": ("S0724",), "test": ("S0764",)}
FIRST = "BAC009S0002W0122"


def names(speaker: str) -> list[str]:
    return [f"BAC009{speaker}W{number:04d}" for number in (122, 123)]


def make_aishell(folder: Path) -> Path:
    """Write a small data_aishell; the second recording of S0003 has no transcript."""
    lines = []
    for dset, speakers in SPEAKERS.items():
        for speaker in speakers:
            for name in names(speaker):
                write_audio(folder / "wav" / dset / speaker / f"{name}.wav", 0.6, 16000, len(lines))
                lines.append(f"{name} 而 对 楼市  成交")
    lines.append(lines[0])  # twice the same is harmless
    missing = names("S0003")[1]
    write_lines(folder / "transcript" / "aishell_transcript_v0.8.txt", [one for one in lines if missing not in one])
    return folder


def pack(corpus: Path) -> None:
    """Turn wav/ into what the published archive holds: one archive per speaker."""
    for dset, speakers in SPEAKERS.items():
        for speaker in speakers:
            with tarfile.open(corpus / "wav" / f"{speaker}.tar.gz", "w:gz") as archive:
                archive.add(corpus / "wav" / dset / speaker, f"{dset}/{speaker}")
        shutil.rmtree(corpus / "wav" / dset)


def test_the_three_sets(corpus_recipe, tmp_path: Path) -> None:
    recipe, corpus = corpus_recipe("aishell"), make_aishell(tmp_path / "a disk" / "data_aishell")
    recipe.prepare_with_any_nj("--aishell_root", tmp_path / "a disk")
    assert recipe.sets() == ["dev", "test", "train"]
    train = recipe.tables("train")
    assert train["wav.scp"][0] == f"{FIRST} {corpus}/wav/train/S0002/{FIRST}.wav"
    assert train["text"][0] == f"{FIRST} 而对楼市成交"
    assert train["utt2spk"] == [
        "BAC009S0002W0122 BAC009S0002", "BAC009S0002W0123 BAC009S0002", "BAC009S0003W0122 BAC009S0003"
    ]  # fmt: skip
    assert train["utt2lang"][0] == f"{FIRST} zh"


def test_what_has_no_transcript_is_left_out_and_counted(corpus_recipe, tmp_path: Path) -> None:
    recipe, corpus = corpus_recipe("aishell"), make_aishell(tmp_path / "data_aishell")
    output = recipe.prepare("--aishell_root", corpus)
    assert "train: 2 speakers, 3 utterances; left out 1 without a transcript" in output
    assert "warning: 7 utterances in all; the published corpus has 141,600" in output


def test_archives_are_fetched_verified_and_unpacked(corpus_recipe, tmp_path: Path) -> None:
    corpus = make_aishell(tmp_path / "data_aishell")
    pack(corpus)
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    with tarfile.open(mirror / "data_aishell.tgz", "w:gz") as archive:
        archive.add(corpus, "data_aishell")
    recipe = corpus_recipe("aishell")
    url = ["--download_url", mirror.as_uri()]
    assert "expected 2f494334227864a8a8fec932999db9d8; the download was removed" in recipe.refuse(*url, AISHELL="")
    recipe.prepare(*url, "--download_md5", "none", AISHELL="")
    assert len(recipe.tables("train")["wav.scp"]) == 3
    shutil.rmtree(mirror)
    succeed(recipe.folder / "hubert1", "local/data.sh", *url, AISHELL="")  # ssl1 has fetched it
    assert not (recipe.folder / "hubert1" / "downloads").exists()


def test_unpacking_goes_on(corpus_recipe, tmp_path: Path) -> None:
    recipe, corpus = corpus_recipe("aishell"), make_aishell(tmp_path / "data_aishell")
    pack(corpus)
    assert f"run local/unpack.py {corpus}, once" in recipe.refuse("--aishell_root", corpus)
    archive = corpus / "wav" / "S0003.tar.gz"
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    unpack = ["bash", "-c", f". ./path.sh; python3 local/unpack.py {corpus}"]
    assert "S0003.tar.gz: cannot be unpacked" in refuse(recipe.ssl1, *unpack)
    archive.write_bytes(whole)
    assert "3 archives unpacked" in succeed(recipe.ssl1, *unpack)  # S0002 was done before
    recipe.prepare("--aishell_root", corpus)


def copy_speaker(corpus: Path) -> None:
    shutil.copytree(corpus / "wav/train/S0002", corpus / "wav/dev/S0002")


DAMAGES = {
    "no dev": (lambda corpus: shutil.rmtree(corpus / "wav/dev"), "lacks wav/dev; expected"),
    "no transcripts": (lambda corpus: shutil.rmtree(corpus / "transcript"), "lacks transcript/aishell_transcript"),
    "an empty set": (lambda corpus: shutil.rmtree(corpus / "wav/test/S0764"), "no recordings in"),
    "a speaker in two sets": (copy_speaker, "speaker BAC009S0002 is also in wav/train"),
    "another name": (lambda corpus: write_audio(corpus / "wav/dev/S0724/noise.wav", 0.1), "recording noise: expected"),
    "two transcripts": (
        lambda corpus: write_lines(corpus / "transcript/aishell_transcript_v0.8.txt", [f"{FIRST} 而", f"{FIRST} 对"]),
        f"txt:2: {FIRST} has another transcript above",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_corpus_is_one_clear_message(corpus_recipe, tmp_path: Path, damage: str) -> None:
    recipe, corpus = corpus_recipe("aishell"), make_aishell(tmp_path / "data_aishell")
    spoil, message = DAMAGES[damage]
    spoil(corpus)
    output = recipe.refuse("--aishell_root", corpus)
    assert message in output, output
    assert recipe.sets() == []


def test_a_missing_root_says_what_was_expected(corpus_recipe, tmp_path: Path) -> None:
    output = corpus_recipe("aishell").refuse("--aishell_root", tmp_path / "nowhere")
    assert f"AISHELL-1 (--aishell_root): no folder {tmp_path}/nowhere" in output


@pytest.mark.recipes
def test_it_trains(corpus_recipe, tmp_path: Path) -> None:
    recipe, corpus = corpus_recipe("aishell"), make_aishell(tmp_path / "data_aishell")
    recipe.train(f"--aishell_root {corpus}")
    assert len((recipe.ssl1 / "dump" / "train" / "wav.scp").read_text().splitlines()) == 3
