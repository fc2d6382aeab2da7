#!/bin/sh
"""exec" "${0%/*}/python.sh" -SE "$0" "$@"
" """

"""A map "key words..." and lines on standard input -> the lines with each field replaced by its words."""

import sys

import kaldi_lib

USAGE = """usage: apply_map.pl [-f <field-range>] [--permissive] <map> < <input> > <output>
<map> has lines "key words..."; every field in the range (all by default; 2, 2-4, 2-, -4) is replaced by its words.
A key that is not in the map is an error; with --permissive it stays as it is, with a warning."""


def read_map(path):
    """key -> the rest of its line with single spaces."""
    mapping = {}
    for location, line in kaldi_lib.numbered_lines([path]):
        words = line.split()
        if not words:
            kaldi_lib.fail(f"{location}: empty line in the map")
        mapping[words[0]] = b" ".join(words[1:])
    return mapping


def main(arguments):
    fields, permissive = (0, None), False
    while arguments and arguments[0] in ("-f", "--permissive"):
        if arguments.pop(0) == "--permissive":
            permissive = True
        else:
            fields = kaldi_lib.field_range(arguments.pop(0) if arguments else "")
    if len(arguments) != 1:
        kaldi_lib.fail(USAGE)
    mapping = read_map(arguments[0])

    def convert(word, location, _):
        if word in mapping:
            return mapping[word]
        if not permissive:
            kaldi_lib.fail(f"{location}: undefined key {kaldi_lib.shown(word)}")
        sys.stderr.write(f"apply_map.pl: warning: missing key {kaldi_lib.shown(word)}\n")
        return word

    for location, line in kaldi_lib.numbered_lines([]):
        sys.stdout.buffer.write(b" ".join(kaldi_lib.map_fields(location, line, fields, convert)) + b"\n")


kaldi_lib.run(main)
