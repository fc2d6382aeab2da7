"""A data directory and a rate -> the same directory with sox pipes in wav.scp that give mono, 16 bit, that rate."""

import os
import sys

import audio_source
import tables

PROGRAM = "resample_data_dir.sh"
USAGE = """usage: resample_data_dir.sh <frequency-in-Hz> <data-dir>
Adds a sox command to each line of wav.scp; feats.scp, cmvn.scp and utt2num_samples, which belong to the old rate,
move to <data-dir>/.backup. e.g.: resample_data_dir.sh 8000 data/dev"""
OLD_RATE = ("feats.scp", "cmvn.scp", "utt2num_samples")


def resampled(line: bytes, rate: str) -> bytes:
    """A wav.scp line with a sox command at its end."""
    name, entry = os.fsdecode(line).rstrip("\n").split(None, 1)
    start = audio_source.piped(entry)
    if start is None and audio_source.sox_input(entry.rstrip()).startswith("-t wav "):
        start = f"cat {audio_source.quoted(entry.rstrip())} |"
    command = f"{start} sox -t wav -" if start else f"sox {audio_source.sox_input(entry.rstrip())}"
    return os.fsencode(f"{name} {command} -c 1 -b 16 -t wav - rate {rate} |\n")


def main(arguments: list[str]) -> None:
    if len(arguments) != 2:
        print(USAGE, file=sys.stderr)
        sys.exit(1)
    rate, path = arguments
    if not rate.isdigit() or int(rate) < 1:
        tables.fail(PROGRAM, f"the frequency must be a whole number of Hz, got '{rate}'")
    directory = tables.Directory(path, PROGRAM)
    directory.require("wav.scp")
    lines = [resampled(line, rate) for line in directory.read("wav.scp")]
    backup = directory.file(".backup")
    for name in OLD_RATE:
        if directory.has(name):
            os.makedirs(backup, exist_ok=True)
            os.replace(directory.file(name), os.path.join(backup, name))
            tables.say(PROGRAM, f"{name} already exists. Moving it to {backup}")
    directory.write("wav.scp", lines)
