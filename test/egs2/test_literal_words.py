"""Folders and values with quotes, $, blanks and newlines in, programs that get exactly these from a job out."""

import subprocess
from pathlib import Path

import pytest
from repository import ROOT

SCRIPT = """
set -euo pipefail
. "$1/egs2/TEMPLATE/ssl1/scripts/common/jobs.sh"
root=$1 log=$2
shift 2
literal printf '%s\\0' "$@"
"${root}/utils/run.pl" JOB=1:2 "${log}" "${literal_words[@]}" '>' "${log}.out"
"""


@pytest.mark.parametrize(
    "word",
    [
        "data/$(touch ran)", "data/`touch ran`", "it's", 'say "x"', "a b", "a  b\n$c", "${HOME}", "~", "*", "[char]",
        "a;touch ran", "a&b|c>d", "\\n", "{a,b}", "日本 $x", "a\u3000b", "", "!x", "#", "plain/name-1.0,x=y",
    ],
)  # fmt: skip
def test_a_job_gets_the_words_as_they_are(tmp_path: Path, word: str) -> None:
    log = tmp_path / "job.JOB.log"
    words = ["bash", "-c", SCRIPT, "bash", str(ROOT), str(log), word, f"{word}/JOB", "--last"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    for job in "12":
        words_of_job = (tmp_path / f"job.{job}.log.out").read_text().split("\0")
        assert words_of_job == [word, f"{word}/{job}", "--last", ""]
    assert not (tmp_path / "ran").exists()
