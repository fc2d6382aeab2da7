"""Fixtures for the tests of utils/: run a utility in an empty folder, write and read tables."""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def utils(root: Path) -> Path:
    """The folder of the utilities."""
    return root / "utils"


@pytest.fixture
def run(utils: Path, tmp_path: Path) -> Run:
    """run("filter_scp.pl", "ids", stdin="a 1\\n"): the utility with these arguments, in tmp_path or a folder there."""

    def call(
        name: str,
        *arguments: object,
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
        seconds: float = 60,
        folder: str = ".",
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(utils / name), *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=tmp_path / folder,
            env={**os.environ, **(environment or {})},
            timeout=seconds,
            check=False,
        )

    return call


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Mapping[str, str]], Path]:
    """write("data/train", {"utt2spk": "a s\\n"}): the tables as files of a folder below tmp_path."""

    def make(folder: str, tables: Mapping[str, str]) -> Path:
        path = tmp_path / folder
        path.mkdir(parents=True, exist_ok=True)
        for name, text in tables.items():
            (path / name).write_bytes(text.encode())
        return path

    return make


@pytest.fixture
def good() -> dict[str, str]:
    """The tables of a small well-formed data directory: four utterances of two speakers."""
    return {
        "utt2spk": "s1-a s1\ns1-b s1\ns2-c s2\ns2-d s2\n",
        "spk2utt": "s1 s1-a s1-b\ns2 s2-c s2-d\n",
        "wav.scp": "s1-a x/a.wav\ns1-b flac -c -d -s x/b.flac |\ns2-c x/c.ark:17\ns2-d x/d.wav\n",
        "text": "s1-a ONE TWO\ns1-b drei\ns2-c четыре\ns2-d ONE TWO\n",
        "utt2lang": "s1-a en\ns1-b de\ns2-c ru\ns2-d en\n",
        "utt2dur": "s1-a 1\ns1-b 2.5\ns2-c 0.9\ns2-d 3\n",
        "spk2gender": "s1 f\ns2 m\n",
        "phones.ctm": "s1-a 1 0.00 0.50 w\ns1-a 1 0.50 0.45 ah\ns2-c 1 0.00 0.90 ch\n",
    }
