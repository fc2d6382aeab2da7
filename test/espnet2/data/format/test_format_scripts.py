"""scripts/audio/*.sh as ssl1.sh calls them, in a recipe whose path holds a space."""

import json
import subprocess
import sys

import pytest
from stage3 import make_corpus


@pytest.fixture
def recipe(tmp_path, root, monkeypatch):
    """A recipe folder with a space in its path."""
    folder = tmp_path / "my recipe"
    make_corpus(folder / "corpus", 5)
    (folder / "data").mkdir()
    (folder / "corpus" / "data").rename(folder / "data" / "train")
    (folder / "utils").symlink_to(root / "utils")
    (folder / "scripts").symlink_to(root / "egs2" / "TEMPLATE" / "ssl1" / "scripts")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(root))
    return folder


def call(*command):
    return subprocess.run(
        [
            *command,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_scripts(recipe):
    """Stages 3, 4 and 6 as ssl1.sh calls them."""
    form = ["scripts/audio/format_wav_scp.sh", "--nj", "2", "--cmd", "utils/run.pl", "--python", sys.executable]
    done = call(*form, "--fs", "16k", "data/train", "dump/org/train")
    assert done.returncode == 0, done.stderr
    assert "dump/org/train: 5 utterances" in done.stderr
    assert len(list((recipe / "dump/org/train/logs").iterdir())) == 2
    again = call(*form, "data/train", "dump/org/train")
    assert "up to date" in again.stderr and again.returncode == 0
    done = call("scripts/audio/filter_by_duration.sh", "--python", sys.executable, "--min_wav_duration", "0.3",
                "dump/org/train", "dump/train")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "kept 3 (" in done.stderr and "left out 2 (" in done.stderr
    done = call("scripts/audio/build_index.sh", "--python", sys.executable, "dump/train")
    assert done.returncode == 0, done.stderr
    assert json.loads((recipe / "dump/train/index/index.json").read_text())["num_utterances"] == 3


def test_errors_of_the_scripts(recipe):
    form = ["scripts/audio/format_wav_scp.sh", "--python", sys.executable]
    for arguments, message in (
        (["data/train"], "expected <data-dir> <output-dir>"),
        (["data/none", "dump/org/none"], "run stage 1"),
        (["--no-such-option", "1", "data/train", "dump/org/train"], "unknown option"),
        (["--audio_format", "mp3", "data/train", "dump/org/train"], "expected one of wav, flac"),
    ):
        done = call(*form, *arguments)
        assert done.returncode != 0 and message in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        assert not (recipe / "dump").exists()
