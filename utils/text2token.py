#!/bin/sh
"""exec" "${0%/*}/python.sh" -SE "$0" "$@"
" """

"""Lines of text -> their characters (or groups of n) with blanks between them; leading columns stay words."""

import argparse
import re
import sys

import kaldi_lib


def read_symbols(path):
    """A pattern of the symbols that a file lists, longest first, or None."""
    symbols = [line.decode("utf-8").strip() for _, line in kaldi_lib.numbered_lines([path])]
    symbols = sorted(filter(None, symbols), key=len, reverse=True)
    return re.compile("|".join([*map(re.escape, symbols), "."])) if symbols else None


def tokens(words, options, symbols):
    """The tokens of the words of a line."""
    if options.trans_type == "phn":
        return [word.replace("sil", options.space) for word in words]
    text = " ".join(words)
    letters = symbols.findall(text) if symbols else text
    groups = ("".join(letters[start : start + options.nchar]) for start in range(0, len(letters), options.nchar))
    return [group.replace(" ", options.space) for group in groups]


def main(arguments):
    parser = argparse.ArgumentParser(prog="text2token.py", description="text -> tokens, line by line")
    parser.add_argument("--nchar", "-n", type=int, default=1, help="characters of a token (default: 1)")
    parser.add_argument("--skip-ncols", "-s", type=int, default=0, help="leave the first columns as they are")
    parser.add_argument("--space", default="<space>", help="how a blank is written (default: <space>)")
    parser.add_argument("--non-lang-syms", "-l", help="file of symbols that stay whole, such as <NOISE>")
    parser.add_argument("--trans_type", "-t", choices=("char", "phn"), default="char", help="phn: words are phones")
    parser.add_argument("text", nargs="?", default="-", help="the text (default: standard input)")
    options = parser.parse_args(arguments)
    symbols = read_symbols(options.non_lang_syms) if options.non_lang_syms else None
    for location, line in kaldi_lib.numbered_lines([options.text]):
        try:
            words = line.decode("utf-8").split()
        except UnicodeDecodeError:
            kaldi_lib.fail(f"{location}: not UTF-8; convert the text with iconv")
        columns = " ".join(words[: options.skip_ncols])
        made = " ".join(tokens(words[options.skip_ncols :], options, symbols))
        sys.stdout.buffer.write(f"{columns} {made}\n".encode())


kaldi_lib.run(main)
