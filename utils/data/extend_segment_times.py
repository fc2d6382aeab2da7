#!/bin/sh
"""exec" "${0%/*}/../python.sh" -SE "$0" "$@"
" """

"""segments -> segments with some time added on both sides; neighbours do not overlap because of it."""

import argparse
import itertools
import math
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import kaldi_lib

TO_THE_END = -1  # of the recording, where segments say so; infinite in between


def read_segments():
    """[utterance, recording, begin, end] of each line of standard input."""
    entries = []
    for location, line in kaldi_lib.numbered_lines([]):
        words = line.split()
        try:
            utterance, recording, begin, end = words
            end = float(end)
            entries.append([utterance, recording, float(begin), math.inf if end == TO_THE_END else end])
        except ValueError:
            kaldi_lib.fail(f"{location}: expected 'utterance recording begin end', got '{kaldi_lib.shown(line)}'")
    return entries


def extend(entries, options):
    """Widen the segments of one recording, in place; the number of overlaps that were divided at their middle."""
    entries = sorted(entries, key=lambda entry: 0.5 * (entry[2] + entry[3]))
    latest = max(entry[3] for entry in entries) + options.last_segment_end_padding
    for entry in entries:
        entry[2] = max(0, entry[2] - options.start_padding)
        entry[3] = min(latest, entry[3] + options.end_padding)
    divided = 0
    for before, after in itertools.pairwise(entries):
        if math.inf > before[3] > after[2] and options.fix_overlapping_segments == "true":
            before[3] = after[2] = 0.5 * (before[3] + after[2])
            divided += 1
    return divided


def seconds(value):
    """Six digits behind the point, without zeros at the end."""
    if value == math.inf:
        return b"%d" % TO_THE_END
    digits, whole = 6, abs(value)
    while whole > 1.0:
        whole *= 0.1
        digits += 1
    return b"%.*g" % (digits, value)


def main(arguments):
    parser = argparse.ArgumentParser(prog="extend_segment_times.py", description="< segments > wider segments")
    parser.add_argument("--start-padding", type=float, default=0.1, help="seconds before each (default: 0.1)")
    parser.add_argument("--end-padding", type=float, default=0.1, help="seconds behind each (default: 0.1)")
    parser.add_argument("--last-segment-end-padding", type=float, default=0.1, help="at most, behind the last one")
    parser.add_argument("--fix-overlapping-segments", choices=("true", "false"), default="true")
    options = parser.parse_args(arguments)
    entries = read_segments()
    recordings = {}
    for entry in entries:
        recordings.setdefault(entry[1], []).append(entry)
    divided = sum(extend(group, options) for group in recordings.values())
    for utterance, recording, begin, end in entries:
        if begin < end:
            sys.stdout.buffer.write(b" ".join((utterance, recording, seconds(begin), seconds(end))) + b"\n")
        else:
            print(f"extend_segment_times.py: {kaldi_lib.shown(utterance)} is empty: left out", file=sys.stderr)
    counts = f"extended {len(entries)} segments; fixed {divided} overlapping segments"
    print(f"extend_segment_times.py: {counts}", file=sys.stderr)


kaldi_lib.run(main)
