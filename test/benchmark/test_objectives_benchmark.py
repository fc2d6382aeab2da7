"""The benchmark of objectives with a second of noise in; its table, and what it need not measure twice, out."""

import json
import os
import subprocess
import sys


def run(root, output, *words):
    command = [
        sys.executable,
        str(root / "benchmark/objectives.py"),
        "--sizes",
        "mini",
        "--output",
        str(output),
        *words,
    ]
    env = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=250)


def test_a_run_fills_the_table_and_goes_on_where_it_was(root, tmp_path):
    words = "--objectives hubert --seconds 0 --clips 1 --clip_seconds 1 --num_threads 1".split()
    first = run(root, tmp_path, *words)
    assert first.returncode == 0, first.stderr[-3000:]
    row = json.loads((tmp_path / "objectives.json").read_text())["hubert mini cpu"]
    assert row["updates"] == 3 and row["audio_per_second"] > 0 and row["peak_bytes"] > 4 * 4 * row["trained"]
    assert "| hubert | mini | 1.5 M | 1.5 M | 1 x 1 s |" in (tmp_path / "objectives.md").read_text()
    second = run(root, tmp_path, *words)
    assert "hubert mini cpu: measured before" in second.stdout
    assert json.loads((tmp_path / "objectives.json").read_text())["hubert mini cpu"] == row


def test_unknown_names_are_refused(root, tmp_path):
    refused = run(root, tmp_path, "--objectives", "hubrt")
    assert refused.returncode == 2 and "there is no 'hubrt'; expected some of" in refused.stderr
