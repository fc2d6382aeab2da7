"""Folders made here in, the names that scan_audio finds, require_root's messages and map_in_order's order out."""

import os
from pathlib import Path

import pytest

from espnet2.data_prep import scan
from espnet2.data_prep.scan import map_in_order, require_root, scan_audio
from espnet2.utils.errors import UserError


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    for name in ("b/x/1.WAV", "b/x/2.wav", "a b/3.flac", "top.Flac", "b/notes.txt", "b/._1.wav", ".trash/9.wav"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "link").symlink_to("b")
    (root / "b" / "x" / "up").symlink_to("..")  # to follow it would never end
    return root


AUDIO_FILES = ["a b/3.flac", "b/x/1.WAV", "b/x/2.wav", "link/x/1.WAV", "link/x/2.wav", "top.Flac"]


@pytest.mark.parametrize("num_jobs", [1, 3])
def test_audio_is_found_whatever_the_case_of_its_suffix(corpus: Path, tmp_path: Path, num_jobs: int) -> None:
    assert list(scan_audio(corpus, (".wav", ".flac"))) == AUDIO_FILES
    assert list(scan_audio(corpus, (".flac", ".wav"), num_jobs, tmp_path / "work")) == AUDIO_FILES
    assert list(scan_audio(corpus, (".FLAC",), num_jobs, tmp_path / "work")) == ["a b/3.flac", "top.Flac"]


def test_many_folders_are_read_in_parts(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(scan, "NUM_PARTS", 7)  # each is a file that is flushed to the disk
    expected_files = sorted(f"s{number}/{inner}.wav" for number in range(400) for inner in "ab")
    for name in expected_files:
        (tmp_path / "corpus" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "corpus" / name).touch()
    assert list(scan_audio(tmp_path / "corpus", (".wav",), 4, tmp_path / "work")) == expected_files


def test_a_stopped_scan_goes_on_and_a_finished_one_is_gone(corpus: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    for number in range(300):
        (corpus / "many" / f"{number:03d}").mkdir(parents=True)
        (corpus / "many" / f"{number:03d}" / "a.wav").touch()
    monkeypatch.setattr(scan, "NUM_PARTS", 9)
    real, calls = scan._walk, []

    def walk(root: Path, below: str, suffixes: tuple[str, ...]):
        calls.append(below)
        if len(calls) == 100:
            raise OSError(5, "the disk went away")
        return real(root, below, suffixes)

    monkeypatch.setattr(scan, "_walk", walk)
    with pytest.raises(OSError, match="went away"):
        list(scan_audio(corpus, (".wav",), 1, tmp_path / "work"))
    calls[:] = [""] * 100
    files = list(scan_audio(corpus, (".wav",), 1, tmp_path / "work"))
    assert len(files) == 304 and 0 < len(calls) - 100 < 250  # the parts that were done are not read again
    assert "going on with the scan" in capsys.readouterr().out
    assert not list((tmp_path / "work").iterdir())
    (corpus / "new.wav").touch()
    assert list(scan_audio(corpus, (".wav",), 1, tmp_path / "work")) == sorted([*files, "new.wav"])


def test_names_that_are_not_utf8_pass_through(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/corpus/\xff.wav")).touch()
    assert list(scan_audio(tmp_path / "corpus", (".wav",), 1, tmp_path / "work")) == ["\udcff.wav"]


def test_a_missing_root_says_what_was_expected(corpus: Path, tmp_path: Path) -> None:
    assert require_root(corpus, ["b", "b/x"], "X") == corpus
    with pytest.raises(UserError, match=r"X \(--x_root\): no folder .*/none; expected .*/none/train"):
        require_root(tmp_path / "none", ["train"], "X (--x_root)")
    with pytest.raises(UserError, match=r"lacks train; expected .*/b, .*/train; found \.trash, a b, b, link, top.Flac"):
        require_root(corpus, ["b", "train"], "X")


def _double(number: int) -> int:
    return 2 * number


@pytest.mark.parametrize("num_jobs", [1, 3])
def test_results_come_in_the_order_of_the_items(num_jobs: int) -> None:
    assert list(map_in_order(_double, iter(range(1000)), num_jobs, chunk=7)) == list(range(0, 2000, 2))


def test_items_are_taken_only_as_they_are_needed() -> None:
    taken = []

    def items():
        for number in range(10000):
            taken.append(number)
            yield number

    results = map_in_order(_double, items(), 2, chunk=10)
    assert next(results) == 0 and len(taken) < 200
    results.close()
