#!/bin/sh
"""exec" "${0%/*}/python.sh" -SE "$0" "$@"
" """

"""Lines -> the same lines in a random order, which is Kaldi's for the same --srand."""

import operator
import sys

import kaldi_lib

USAGE = """usage: shuffle_list.pl [--srand <number>] [<lines>] > <shuffled>
Shuffles lines; the order depends on --srand (default 0) and on the number of lines only."""
# perl's rand: the 48-bit linear congruence of drand48 (POSIX), of which srand sets the upper 32 bits.
MULTIPLIER, INCREMENT, BITS = 0x5DEECE66D, 0xB, 48
LOWER_BITS = 0x330E


def drawn(seed, count):
    """Random numbers as perl prints them; Kaldi's program sorts by their texts."""
    mask, whole = (1 << BITS) - 1, float(1 << BITS)
    state = ((seed & 0xFFFFFFFF) << 16) + LOWER_BITS
    for _ in range(count):
        state = (MULTIPLIER * state + INCREMENT) & mask
        yield "%.15g" % (state / whole)


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
    pairs = sorted(zip(drawn(seed, len(lines)), lines, strict=True), key=operator.itemgetter(0))
    sys.stdout.buffer.writelines(line for _, line in pairs)


kaldi_lib.run(main)
