"""A GigaSpeech folder that the test makes in; the recipe's segments, errors and a training out."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from corpus_recipes import CorpusRecipe, write_audio
from recipe_folders import contents
from repository import ROOT

LOCAL = ROOT / "egs2" / "gigaspeech" / "ssl1" / "local"
TRAIN = ["{XS}", "{S}", "{M}", "{L}", "{XL}"]


def segment(aid: str, number: int, start: float, end: float, text: str, subsets: list[str]) -> dict[str, Any]:
    return {
        "sid": f"{aid}_S{number:07d}", "speaker": "N/A", "begin_time": start, "end_time": end, "text_tn": text,
        "subsets": subsets,
    }  # fmt: skip


def recording(aid: str, path: str, segments: list[dict[str, Any]]) -> dict[str, Any]:
    subsets = sorted({name for one in segments for name in one["subsets"]})
    return {
        "title": "A {\"title\"} with ] and \\\"", "url": "", "path": path, "aid": aid, "source": "podcast",
        "codec": "opus", "channels": 1, "md5": "0", "duration": 3.0, "sample_rate": 16000, "speaker": "N/A",
        "category": "N/A", "subsets": subsets, "segments": segments,
    }  # fmt: skip


def corpus_of() -> list[dict[str, Any]]:
    """Two recordings to train on (the first in XS, the second in XL only), one of dev, one of test."""
    return [
        recording(
            "POD2", "audio/podcast/P0000/POD2.opus",
            [
                segment("POD2", 1, 1.2, 2.0, "SECOND <COMMA> PART <PERIOD>", TRAIN),
                segment("POD2", 0, 0.1, 1.1, "FIRST <QUESTIONMARK>", TRAIN),
                segment("POD2", 2, 2.0, 2.4, "<MUSIC>", TRAIN),
                segment("POD2", 3, 2.5, 2.5, "NOTHING", TRAIN),
            ],
        ),
        recording("POD1", "audio/podcast/P0000/POD1.opus", [segment("POD1", 0, 0.0, 1.5, "BIG", ["{XL}"])]),
        recording("YOU1", "audio/youtube/P0001/YOU1.opus", [segment("YOU1", 0, 0.5, 1.5, "DEV", ["{DEV}"])]),
        recording("YOU2", "audio/youtube/P0001/YOU2.opus", [segment("YOU2", 0, 0.5, 1.5, "TEST", ["{TEST}"])]),
    ]  # fmt: skip


def make_gigaspeech(folder: Path, audios: list[dict[str, Any]] | None = None) -> Path:
    """Write the metadata and three seconds of audio for each recording."""
    audios = corpus_of() if audios is None else audios
    folder.mkdir(parents=True)
    metadata = {"dataset": "GigaSpeech", "language": "EN", "version": "v1.0.0", "audios": audios}
    (folder / "GigaSpeech.json").write_text(json.dumps(metadata, indent=4), encoding="utf-8")
    for number, audio in enumerate(audios):
        write_audio(folder / audio["path"], 3.0, 16000, number)
    return folder


def names(recipe: CorpusRecipe, dset: str) -> list[str]:
    return [line.split()[0] for line in recipe.tables(dset)["segments"]]


def test_subsets_segments_and_texts(corpus_recipe, tmp_path: Path) -> None:
    recipe, corpus = corpus_recipe("gigaspeech"), make_gigaspeech(tmp_path / "a disk" / "GigaSpeech")
    output = recipe.prepare("--gigaspeech_root", corpus, "--subset", "xs")
    first = contents(recipe.ssl1 / "data")
    recipe.prepare("--gigaspeech_root", corpus, "--subset", "xs")
    assert contents(recipe.ssl1 / "data") == first
    assert recipe.sets() == ["dev", "test", "train_xs"]
    left_out = "left out: 1 segments without speech, 1 segments that end before they begin"
    assert f"train_xs: 1 recordings, 2 segments; {left_out}" in output
    train = recipe.tables("train_xs")
    assert train["segments"] == ["POD2_S0000000 POD2 0.100 1.100", "POD2_S0000001 POD2 1.200 2.000"]
    assert train["wav.scp"] == [f"POD2 {corpus}/audio/podcast/P0000/POD2.opus"]
    assert train["text"] == ["POD2_S0000000 FIRST", "POD2_S0000001 SECOND PART"]
    assert train["utt2spk"][0] == "POD2_S0000000 POD2" and train["utt2lang"][0] == "POD2_S0000000 en"
    assert (names(recipe, "dev"), names(recipe, "test")) == (["YOU1_S0000000"], ["YOU2_S0000000"])


def test_the_largest_subset_has_them_all(corpus_recipe, tmp_path: Path) -> None:
    recipe, corpus = corpus_recipe("gigaspeech"), make_gigaspeech(tmp_path / "GigaSpeech")
    recipe.prepare("--gigaspeech_root", corpus)
    assert names(recipe, "train_xl") == ["POD1_S0000000", "POD2_S0000000", "POD2_S0000001"]


def test_missing_recordings_stop_it_beyond_a_share(corpus_recipe, tmp_path: Path) -> None:
    recipe, corpus = corpus_recipe("gigaspeech"), make_gigaspeech(tmp_path / "GigaSpeech")
    (corpus / "audio/podcast/P0000/POD1.opus").unlink()
    output = recipe.refuse("--gigaspeech_root", corpus)
    assert "1 of the 2 recordings of {XL} are missing: audio/podcast/P0000/POD1.opus; fetch them" in output
    recipe.prepare("--gigaspeech_root", corpus, "--max_missing_ratio", "0.5")
    assert names(recipe, "train_xl") == ["POD2_S0000000", "POD2_S0000001"]


def rewrite(corpus: Path, text: str) -> None:
    (corpus / "GigaSpeech.json").write_text(text)


def cut(corpus: Path) -> None:
    text = (corpus / "GigaSpeech.json").read_text()
    rewrite(corpus, text[: len(text) // 2])


DAMAGES = {
    "no metadata": (lambda corpus: (corpus / "GigaSpeech.json").unlink(), "lacks GigaSpeech.json; expected"),
    "no audio": (lambda corpus: (corpus / "audio").rename(corpus / "sounds"), "lacks audio; expected"),
    "cut short": (cut, "GigaSpeech.json: ends early or is damaged"),
    "another file": (lambda corpus: rewrite(corpus, '{"a": []}'), 'no list "audios" in it'),
    "no segments": (lambda corpus: rewrite(corpus, '{"audios": [{"aid": "POD9"}]}'), "recording POD9: KeyError"),
    "no dev": (lambda corpus: rewrite(corpus, json.dumps({"audios": corpus_of()[:2]})), "no segment of the subset"),
    "the same twice": (
        lambda corpus: rewrite(corpus, json.dumps({"audios": corpus_of()[:1] * 2})),
        "utterance ids appear twice: POD2_S0000000",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_corpus_is_one_clear_message(corpus_recipe, tmp_path: Path, damage: str) -> None:
    recipe, corpus = corpus_recipe("gigaspeech"), make_gigaspeech(tmp_path / "GigaSpeech")
    spoil, message = DAMAGES[damage]
    spoil(corpus)
    output = recipe.refuse("--gigaspeech_root", corpus, "--subset", "xs")
    assert message in output, output


def test_a_missing_root_says_what_was_expected(corpus_recipe, tmp_path: Path) -> None:
    recipe = corpus_recipe("gigaspeech")
    assert "where is GigaSpeech? Pass --gigaspeech_root" in recipe.refuse(GIGASPEECH="")
    output = recipe.refuse("--gigaspeech_root", tmp_path / "nowhere")
    assert f"no folder {tmp_path}/nowhere; expected {tmp_path}/nowhere/GigaSpeech.json" in output


@pytest.fixture(scope="module")
def read_json() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gigaspeech_read_json", LOCAL / "read_json.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("block", [1, 7, 64, 100_000])
def test_blocks_of_any_size_give_the_same(read_json: ModuleType, tmp_path: Path, monkeypatch, block: int) -> None:
    monkeypatch.setattr(read_json, "BLOCK_CHARACTERS", block)
    corpus = make_gigaspeech(tmp_path / "GigaSpeech", corpus_of()[:2])
    assert list(read_json.iterate_audios(corpus / "GigaSpeech.json")) == corpus_of()[:2]


def test_memory_does_not_grow_with_the_file(read_json: ModuleType, tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "GigaSpeech.json"
    segments = [segment("POD1", number, 0, 1, "WORD " * 50, TRAIN) for number in range(100)]
    one = json.dumps(recording("POD1", "a.opus", segments))
    path.write_text('{"audios": [' + ",\n".join([one] * 500) + "]}")
    tracemalloc.start()
    count = sum(1 for _ in read_json.iterate_audios(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 500 and peak < path.stat().st_size / 3, (peak, path.stat().st_size)


@pytest.mark.recipes
def test_opus_segments_train(corpus_recipe, tmp_path: Path) -> None:
    recipe, corpus = corpus_recipe("gigaspeech"), make_gigaspeech(tmp_path / "GigaSpeech")
    recipe.train(f"--gigaspeech_root {corpus}")
    dump = recipe.ssl1 / "dump" / "train_xl"
    lengths = dict(line.split() for line in (dump / "utt2num_samples").read_text().splitlines())
    assert lengths == {"POD1_S0000000": "24000", "POD2_S0000000": "16000", "POD2_S0000001": "12800"}
