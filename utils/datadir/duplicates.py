"""A data directory -> a copy in which no transcript occurs much more than max-count times."""

import os
import shutil
import subprocess
import sys
from collections import Counter

import tables

PROGRAM = "remove_dup_utts.sh"
USAGE = """usage: remove_dup_utts.sh <max-count> <src-data-dir> <dest-data-dir>
Limits how often the same transcript occurs, e.g. "uh-huh"; which of them stay is random but the same in every run.
e.g.: remove_dup_utts.sh 10 data/train data/train_nodup"""
# The fixed additive sequence of Kaldi's script: the same utterances stay as there.
STEP, MODULUS = 103349, 71147
UTILS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def thinned(text: tables.Lines, max_count: int) -> tables.Lines:
    """Each line of a transcript that occurs n >= max_count times stays with probability max_count / n."""
    words = [tuple(line.split()[1:]) for line in text]
    counts = Counter(words)
    state, kept = 0, []
    for line, transcript in zip(text, words, strict=True):
        count = counts[transcript]
        if count >= max_count:
            state = (state + STEP) % MODULUS
            if state / MODULUS >= max_count / count:
                continue
        kept.append(line)
    return kept


def main(arguments: list[str]) -> None:
    if len(arguments) != 3:
        print(USAGE, file=sys.stderr)
        sys.exit(1)
    number, source_path, target_path = arguments
    if not number.isdigit() or int(number) <= 1:
        tables.fail(PROGRAM, f"max-count must be an integer above 1, got '{number}'")
    source, target = tables.Directory(source_path, PROGRAM), tables.Directory(target_path, PROGRAM)
    source.require("text", "utt2spk")
    if os.path.realpath(source_path) == os.path.realpath(target_path):
        tables.fail(PROGRAM, f"the two directories are the same: {source_path}")
    text = source.read("text")
    kept = thinned(text, int(number))
    os.makedirs(target_path, exist_ok=True)
    for entry in os.scandir(source_path):
        if entry.is_file() and not entry.name.startswith("."):
            shutil.copyfile(entry.path, target.file(entry.name))
    target.write("text", kept)
    tables.say(PROGRAM, f"Reduced number of utterances from {len(text)} to {len(kept)}")
    subprocess.run([os.path.join(UTILS, "fix_data_dir.sh"), target_path], check=True)
    shutil.rmtree(target.file(".backup"), ignore_errors=True)
