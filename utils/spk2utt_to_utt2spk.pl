#!/bin/sh
"""exec" "${0%/*}/python.sh" -SE "$0" "$@"
" """

"""spk2utt "speaker utterance utterance ..." -> utt2spk "utterance speaker", in the order read."""

import sys

import kaldi_lib


def main(arguments):
    if len(arguments) > 1:
        kaldi_lib.fail("usage: spk2utt_to_utt2spk.pl [<spk2utt>] > <utt2spk>")
    for location, line in kaldi_lib.numbered_lines(arguments):
        words = line.split()
        if len(words) < 2:
            kaldi_lib.fail(f"{location}: expected 'speaker utterance ...', got '{kaldi_lib.shown(line)}'")
        ending = b" " + words[0] + b"\n"
        sys.stdout.buffer.write(b"".join([utterance + ending for utterance in words[1:]]))


kaldi_lib.run(main)
