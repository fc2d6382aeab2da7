#!/bin/sh
"""exec" "${0%/*}/python.sh" -SE "$0" "$@"
" """

"""A symbol table "symbol integer" and a transcript -> the transcript with integers for symbols."""

import sys

import kaldi_lib

USAGE = """usage: sym2int.pl [--map-oov <symbol>] [-f <field-range>] <symbol-table> [<transcript>] > <output>
Replaces the symbols in the field range (all by default; 2, 2-4, 2-, -4) by their integers. An unknown symbol is an
error, or becomes <symbol> (or the integer given) with --map-oov."""
MAX_WARNINGS = 20  # as in Kaldi: a wrong table would otherwise fill the log


def read_symbols(path):
    """symbol -> integer, as bytes without leading zeros."""
    symbols = {}
    for location, line in kaldi_lib.numbered_lines([path]):
        words = line.split()
        if len(words) != 2 or not words[1].lstrip(b"-").isdigit():
            kaldi_lib.fail(f"{location}: expected 'symbol integer', got '{kaldi_lib.shown(line)}'")
        symbols[words[0]] = b"%d" % int(words[1])
    return symbols


def main(arguments):
    unknown, fields = None, (0, None)
    while arguments and arguments[0] in ("--map-oov", "-f"):
        option = arguments.pop(0)
        value = arguments.pop(0) if arguments else ""
        if option == "-f":
            fields = kaldi_lib.field_range(value)
        else:
            unknown = value.encode("utf-8", "surrogateescape")
    if not arguments:
        kaldi_lib.fail(USAGE)
    symbols = read_symbols(arguments[0])
    if unknown is not None and not unknown.isdigit():
        if unknown not in symbols:
            kaldi_lib.fail(f"the --map-oov symbol {kaldi_lib.shown(unknown)} is not in {arguments[0]}")
        unknown = symbols[unknown]
    warnings = [0]

    def convert(word, location, position):
        if word in symbols:
            return symbols[word]
        if unknown is None:
            kaldi_lib.fail(f"{location}: undefined symbol {kaldi_lib.shown(word)} (in position {position + 1})")
        warnings[0] += 1
        if warnings[0] <= MAX_WARNINGS:
            sys.stderr.write(f"sym2int.pl: replacing {kaldi_lib.shown(word)} with {unknown.decode()}\n")
        if warnings[0] == MAX_WARNINGS:
            sys.stderr.write("sym2int.pl: not warning for unknown symbols any more\n")
        return unknown

    for location, line in kaldi_lib.numbered_lines(arguments[1:]):
        sys.stdout.buffer.write(b" ".join(kaldi_lib.map_fields(location, line, fields, convert)) + b"\n")


kaldi_lib.run(main)
