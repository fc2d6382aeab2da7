#!/bin/sh
"""exec" "${0%/*}/python.sh" -SE "$0" "$@"
" """

"""A list of keys and a table -> the lines of the table whose key is (or, with --exclude, is not) in the list."""

import sys

import kaldi_lib

USAGE = """usage: filter_scp.pl [--exclude] [-f <field>] <id-list> [<in.scp>] > <out.scp>
Keeps the lines whose <field>-th field (1 is the first and the default) is a key of <id-list>; a key is the first
field of a line there. --exclude keeps the other lines. "-" is standard input, as is a missing <in.scp>."""


def read_keys(path):
    """The set of first fields of a file."""
    keys = set()
    for location, line in kaldi_lib.numbered_lines([path]):
        words = line.split(None, 1)
        if not words:
            kaldi_lib.fail(f"{location}: empty line in the id list")
        keys.add(words[0])
    return keys


def main(arguments):
    exclude, field = False, 1
    while arguments and arguments[0] in ("--exclude", "-f"):
        if arguments.pop(0) == "--exclude":
            exclude = True
        elif not arguments or not arguments[0].isdigit() or int(arguments[0]) < 1:
            kaldi_lib.fail("-f needs a field number, counted from 1")
        else:
            field = int(arguments.pop(0))
    if not 1 <= len(arguments) <= 2:
        kaldi_lib.fail(USAGE)
    keys = read_keys(arguments[0])
    write = sys.stdout.buffer.write
    for location, line in kaldi_lib.numbered_lines(arguments[1:]):
        words = line.split(None, field)
        if len(words) < field:
            kaldi_lib.fail(f"{location}: no field {field} in '{kaldi_lib.shown(line)}'")
        if (words[field - 1] in keys) != exclude:
            write(line)


kaldi_lib.run(main)
