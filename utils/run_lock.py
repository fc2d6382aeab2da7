"""A folder -> its lock, held by the recipe's supervisor until that ends or releases it; an error where another run is.

Usage: run_lock.py take|release <folder> [<folder>...]
"""

import errno
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from espnet2.utils import run_lock

LOCKS = "RECIPE_LOCKS"  # a file with a line for each folder that the supervisor holds: "<folder>\n"
KEEPER = "RECIPE_LOCK_KEEPER"  # process id of that supervisor
COMMAND = "RECIPE_COMMAND"


def read_folders(path):
    """The folders in the list of a supervisor."""
    with open(path, encoding="utf-8", errors="surrogateescape") as stream:
        return list(dict.fromkeys(line.rstrip("\n") for line in stream))


def main(words):
    if len(words) < 2 or words[0] not in ("take", "release"):
        sys.exit("usage: run_lock.py take|release <folder>...")
    keeper, listed = int(os.environ.get(KEEPER) or 0), os.environ.get(LOCKS)
    if not keeper or not listed or not os.path.exists(listed):
        return  # a script that was started by itself: nobody would hold the lock
    for folder in map(os.path.abspath, words[1:]):
        if words[0] == "release":
            run_lock.release(folder, process=keeper)
            continue
        try:
            told = run_lock.take(folder, os.environ.get(COMMAND, ""), process=keeper)
        except run_lock.LockedError as error:
            sys.exit(f"error: {error}")
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):  # who may not write here does no harm
                continue
            sys.exit(f"error: {folder}: cannot be locked: {error.strerror}")
        if told:
            sys.stderr.write(f"{told}\n")
        with open(listed, "a", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(f"{folder}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
