#!/bin/sh
"""exec" "${0%/*}/python.sh" -SE "$0" "$@"
" """

"""Lines -> the same lines in a random order, which is the same in every run with the same --srand."""

import sys

import kaldi_lib

USAGE = """usage: shuffle_list.pl [--srand <number>] [<lines>] > <shuffled>
Shuffles lines; the order depends on --srand (default 0) and on the number of lines only."""
# The 48-bit linear congruence of drand48 (POSIX); its high bits decide. random.Random would triple the start time.
MULTIPLIER, INCREMENT, MASK = 0x5DEECE66D, 0xB, (1 << 48) - 1


def main(arguments):
    seed = 0
    if arguments and arguments[0] == "--srand":
        if len(arguments) < 2 or not arguments[1].isdigit():
            kaldi_lib.fail("--srand needs a number")
        seed = int(arguments[1])
        del arguments[:2]
    if len(arguments) > 1 or (arguments and arguments[0][:1] == "-" and arguments[0] != "-"):
        kaldi_lib.fail(USAGE)
    lines = [line for _, line in kaldi_lib.numbered_lines(arguments)]
    if lines and not lines[-1].endswith(b"\n"):
        lines[-1] += b"\n"
    state = (seed << 16) + 0x330E
    for last in range(len(lines) - 1, 0, -1):  # Fisher and Yates: every order is equally likely
        state = (MULTIPLIER * state + INCREMENT) & MASK
        other = (state * (last + 1)) >> 48
        lines[last], lines[other] = lines[other], lines[last]
    sys.stdout.buffer.writelines(lines)


kaldi_lib.run(main)
