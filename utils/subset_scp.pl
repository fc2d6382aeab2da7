#!/bin/sh
"""exec" "${0%/*}/python.sh" -SE "$0" "$@"
" """

"""A table -> N of its lines: spread evenly over it, or the first, or the last ones."""

import sys

import kaldi_lib

USAGE = """usage: subset_scp.pl [--quiet] [--first|--last] <N> <in.scp> > <out.scp>
Takes <N> lines, spread evenly over the file (with --first or --last: as head or tail would). More than there are is
an error; with --quiet it means all."""


def spread(begin, end, needed, chosen):
    """Append to chosen the indices in [begin, end) that halving lines and need picks (Kaldi's order and choice)."""
    if not needed:
        return
    if end - begin == 1:
        chosen.append(begin)
        return
    middle = begin + (end - begin) // 2
    spread(begin, middle, needed // 2, chosen)
    spread(middle, end, needed - needed // 2, chosen)


def main(arguments):
    options = set()
    while arguments and arguments[0] in ("--quiet", "--first", "--last"):
        options.add(arguments.pop(0))
    if len(arguments) < 2:
        kaldi_lib.fail(USAGE)
    if not arguments[0].isdigit() or int(arguments[0]) == 0:
        kaldi_lib.fail(f"the number of lines must be a positive integer, got '{arguments[0]}'")
    needed = int(arguments[0])
    lines = [line for _, line in kaldi_lib.numbered_lines([arguments[1]])]
    if needed > len(lines):
        if "--quiet" not in options:
            kaldi_lib.fail(f"{arguments[1]} has {len(lines)} lines, {needed} were asked for")
        needed = len(lines)
    if "--first" in options:
        chosen = range(needed)
    elif "--last" in options:
        chosen = range(len(lines) - needed, len(lines))
    else:
        chosen = []
        spread(0, len(lines), needed, chosen)
    sys.stdout.buffer.writelines([lines[index] for index in chosen])


kaldi_lib.run(main)
