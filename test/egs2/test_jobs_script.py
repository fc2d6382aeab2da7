"""Logs of jobs at work in, one line about them on the terminal out; the status of the jobs passes through."""

import subprocess
from pathlib import Path

JOBS = "set -euo pipefail\n. utils/log.sh\n. egs2/TEMPLATE/ssl1/scripts/common/jobs.sh\n"


def bash(root: Path, script: str, *arguments: str) -> subprocess.CompletedProcess:
    words = ["bash", "-c", JOBS + script, "script", *arguments]
    return subprocess.run(words, cwd=root, capture_output=True, text=True, timeout=60, check=False)


def write(path: Path, *lines: str) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))


def test_the_job_with_longest_to_go_is_shown(root, tmp_path):
    write(tmp_path / "a.1.log", "# command", "# Started", "labels, shard 1 of 3: 50 %, 9 x real time, 40 s left")
    write(tmp_path / "a.2.log", "# command", "labels, shard 2 of 3: 40 %, 9 x real time, 120 s left")
    write(tmp_path / "a.3.log", "labels, shard 3 of 3: 90 %", "# Ended (code 0)")
    write(tmp_path / "a.4.log", "# command", "# Started")
    shown = bash(root, 'progress_of "$@"', *map(str, sorted(tmp_path.iterdir()))).stdout
    assert shown == "labels, shard 2 of 3: 40 %, 9 x real time, 120 s left (the last of 2 jobs at work)\n"
    assert bash(root, 'progress_of "$@"', str(tmp_path / "a.4.log"), str(tmp_path / "none")).stdout == ""
    assert bash(root, "progress_of").stdout == ""


def test_progress_of_jobs_reaches_the_terminal_and_their_status_the_caller(root, tmp_path):
    """The jobs write into logs below a folder with a space in its name."""
    logs = tmp_path / "my logs"
    logs.mkdir()
    work = 'for i in 1 2; do echo "frames 10, pass 3" > "$1/k.$i.log"; done; sleep 1; exit 7'
    result = bash(root, f"""
progress_seconds=0.1
status=0
watched "$1/k.JOB.log" bash -c '{work}' work "$1" || status=$?
echo "status ${{status}}"
""", str(logs))  # fmt: skip
    assert result.stdout == "status 7\n"
    assert result.stderr.count("frames 10, pass 3 (the last of 2 jobs at work)") == 1  # said once while it is so
    assert "Terminated" not in result.stderr
