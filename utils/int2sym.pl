#!/bin/sh
"""exec" "${0%/*}/python.sh" -SE "$0" "$@"
" """

"""A symbol table "symbol integer" and a transcript of integers -> the transcript with symbols."""

import sys

import kaldi_lib

USAGE = """usage: int2sym.pl [-f <field-range>] <symbol-table> [<integers>] > <output>
Replaces the integers in the field range (all by default; 2, 2-4, 2-, -4) by their symbols."""


def read_integers(path):
    """integer (bytes, as written) -> symbol."""
    integers = {}
    for location, line in kaldi_lib.numbered_lines([path]):
        words = line.split()
        if len(words) != 2:
            kaldi_lib.fail(f"{location}: expected 'symbol integer', got '{kaldi_lib.shown(line)}'")
        integers[words[1]] = words[0]
    return integers


def main(arguments):
    fields = (0, None)
    if arguments and arguments[0] == "-f":
        fields = kaldi_lib.field_range(arguments[1] if len(arguments) > 1 else "")
        del arguments[:2]
    if not arguments:
        kaldi_lib.fail(USAGE)
    integers = read_integers(arguments[0])

    def convert(word, location, position):
        if not word.isdigit():
            kaldi_lib.fail(f"{location}: {kaldi_lib.shown(word)} is no integer (in position {position + 1})")
        if word not in integers:
            kaldi_lib.fail(f"{location}: integer {kaldi_lib.shown(word)} is not in {arguments[0]}")
        return integers[word]

    for location, line in kaldi_lib.numbered_lines(arguments[1:]):
        # Kaldi's output has a space after every field, the last one too.
        words = kaldi_lib.map_fields(location, line, fields, convert)
        sys.stdout.buffer.write(b"".join([word + b" " for word in words]) + b"\n")


kaldi_lib.run(main)
