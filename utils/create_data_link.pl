#!/bin/sh
"""exec" "${0%/*}/python.sh" -SE "$0" "$@"
" """

"""Names of archives to be written -> links into <folder>/storage/<number>, where that folder is; else nothing."""

import math
import os
import re
import sys

import kaldi_lib

USAGE = """usage: create_data_link.pl <archive>...
Spreads archives over disks: where <folder of the archive>/storage/1, 2, ... exist, <archive> becomes a link into one of
them, which its name decides. All archives are in the same folder."""


def storage_number(name, count):
    """The number from 1 that the numbers in a name decide, as Kaldi computes it."""
    coprimes = [factor for factor in range(1, count + 1) if math.gcd(factor, count) == 1]
    numbers = [int(digits) for digits in re.findall("[0-9]+", name)]
    return sum(value * coprimes[index % len(coprimes)] for index, value in enumerate(numbers)) % count + 1


def main(arguments):
    if not arguments or arguments[0].startswith("-"):
        kaldi_lib.fail(USAGE)
    folder = os.path.dirname(arguments[0]) or "."
    storage = os.path.join(folder, "storage")
    if not os.path.isdir(storage):
        return
    numbers = [name for name in os.listdir(storage) if re.fullmatch("[0-9]+", name)]
    for number in range(1, len(numbers) + 1):
        if not os.path.isdir(os.path.join(storage, str(number))):
            kaldi_lib.fail(f"no such directory {storage}/{number}: they are numbered from 1, without gaps")
    if not numbers:
        kaldi_lib.fail(f"{storage} has no directories 1, 2, ...")
    for path in arguments:
        if (os.path.dirname(path) or ".") != folder:
            kaldi_lib.fail(f"{path} is not in {folder}, where the first archive is")
        name = os.path.basename(path)
        if os.path.lexists(path):
            os.unlink(path)
        os.symlink(f"storage/{storage_number(name, len(numbers))}/{name}", path)
    sys.stdout.flush()


kaldi_lib.run(main)
