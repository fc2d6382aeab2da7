#!/bin/sh
"""exec" "${0%/*}/python.sh" -SE "$0" "$@"
" """

"""utt2spk "utterance speaker" -> spk2utt "speaker utterance utterance ...", speakers in order of appearance."""

import sys

import kaldi_lib


def main(arguments):
    if len(arguments) > 1:
        kaldi_lib.fail("usage: utt2spk_to_spk2utt.pl [<utt2spk>] > <spk2utt>")
    utterances = {}
    for location, line in kaldi_lib.numbered_lines(arguments):
        words = line.split()
        if len(words) != 2:
            kaldi_lib.fail(f"{location}: expected 'utterance speaker', got '{kaldi_lib.shown(line)}'")
        utterances.setdefault(words[1], []).append(words[0])
    for speaker, spoken in utterances.items():
        sys.stdout.buffer.write(speaker + b" " + b" ".join(spoken) + b"\n")


kaldi_lib.run(main)
