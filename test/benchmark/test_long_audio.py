"""The benchmark of long audio with seconds of noise in; its table, whose whole-context row agrees, out."""

import os
import re
import subprocess
import sys

from tiny_training import make_set
from tiny_units import write_experiment

from espnet2.data.index import AudioIndex


def test_chunks_that_see_everything_give_what_one_pass_gives(root, tmp_path):
    make_set(tmp_path, "train", num_utterances=8)
    dump_set = tmp_path / "dump/train"
    index = AudioIndex.open(dump_set)
    lines = []
    for row in range(len(index)):
        middle = index.num_samples[row] / index.sample_rate / 2
        lines += [f"{index.utt_id(row)} 1 0.0 {middle:.3f} a", f"{index.utt_id(row)} 1 {middle:.3f} {middle:.3f} b"]
    (dump_set / "phones.ctm").write_text("\n".join(lines) + "\n")
    words = ["--model", write_experiment(tmp_path / "exp"), "--dump_set", dump_set, "--seconds", 3]
    command = [sys.executable, root / "benchmark/long_audio.py", *words, "--chunks", "0.5,0 1,5", "--nothing_cut"]
    env = {**os.environ, "PYTHONPATH": str(root)}
    ran = subprocess.run(list(map(str, command)), env=env, capture_output=True, text=True, timeout=250)
    assert ran.returncode == 0, ran.stderr[-3000:]
    cut, overlapping = (re.search(rf"\| {text} \| ([^|]*) \|", ran.stdout)[1] for text in ("0.5 s, 0 s", "1 s, 5 s"))
    assert overlapping == "100.0, 100.0" != cut and "| as by default | 100.0, 100.0 |" in ran.stdout
    longer = [*map(str, command), "--seconds", "1e6"]
    again = subprocess.run(longer, env=env, capture_output=True, text=True, timeout=250)
    assert again.returncode == 2 and "--seconds 1e+06 needs more" in again.stderr
