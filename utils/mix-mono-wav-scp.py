#!/bin/sh
"""exec" "${0%/*}/python.sh" -SE "$0" "$@"
" """

"""wav.scp files of single channels -> one wav.scp with sox pipes that give all channels."""

import sys
from itertools import zip_longest

import kaldi_lib

USAGE = """usage: mix-mono-wav-scp.py <wav.scp of channel 1> <wav.scp of channel 2> ... > <wav.scp>
The files have the same keys in the same order; their entries are files."""


def main(arguments):
    if not arguments or arguments[0].startswith("-"):
        kaldi_lib.fail(USAGE)
    for lines in zip_longest(*(kaldi_lib.numbered_lines([path]) for path in arguments)):
        if None in lines:
            kaldi_lib.fail("the files have different numbers of lines: " + " ".join(arguments))
        entries = [(location, line.split(None, 1)) for location, line in lines]
        for location, words in entries:
            if len(words) < 2:
                kaldi_lib.fail(f"{location}: expected '<key> <file>'")
            if words[0] != entries[0][1][0]:
                first, other = kaldi_lib.shown(entries[0][1][0]), kaldi_lib.shown(words[0])
                kaldi_lib.fail(f"{location}: key '{other}' where {entries[0][0]} has '{first}': sort the files alike")
        files = b" ".join(words[1].strip() for _, words in entries)
        sys.stdout.buffer.write(b"%s sox -M %s -c %d -t wav - |\n" % (entries[0][1][0], files, len(entries)))


kaldi_lib.run(main)
