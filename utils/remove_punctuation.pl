#!/bin/sh
"""exec" "${0%/*}/python.sh" -SE "$0" "$@"
" """

"""Text -> the same text without punctuation but apostrophes, blanks single; "<space>" stays."""

import sys
import unicodedata

import kaldi_lib

USAGE = "usage: remove_punctuation.pl < <text> > <text without punctuation>"
SYMBOLS = "$+<=>^`|~"  # of ASCII: punctuation for POSIX, symbols for Unicode
KEPT = "<space>"


class Removed(dict):
    """Code point -> None for punctuation, itself for the rest; learned as it comes."""

    def __missing__(self, code):
        letter = chr(code)
        drop = letter != "'" and (letter in SYMBOLS or unicodedata.category(letter)[0] == "P")
        self[code] = None if drop else code
        return self[code]


def main(arguments):
    if arguments:
        kaldi_lib.fail(USAGE)
    table = Removed()
    for location, line in kaldi_lib.numbered_lines([]):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            kaldi_lib.fail(f"{location}: not UTF-8; convert the text with iconv")
        words = KEPT.join(part.translate(table) for part in text.split(KEPT)).split()
        sys.stdout.buffer.write(" ".join(words).encode() + b"\n")


kaldi_lib.run(main)
