"""A user's mistake in, one clear message and a non-zero exit out; our own bugs keep their traceback."""

import errno
import re
import sys
from collections.abc import Callable
from typing import Any

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
LOST_LOADER = re.compile(r"DataLoader worker \(pid.*\) (is killed by signal|exited unexpectedly)")  # PyTorch's words


class UserError(Exception):
    """Something the user can mend: the message says what, where, what was expected and what to do."""


def run_main(main: Callable[[], Any]) -> None:
    """Run an entry point; exit 2 with one message on a `UserError`, 130 on Ctrl-C.

    Args:
        main: the entry point; an integer it returns becomes the exit status.
    """
    program = sys.argv[0].rsplit("/", 1)[-1].removesuffix(".py")
    try:
        status = main()
    except UserError as error:
        print(f"{program}: error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # `... | head`: the reader went away, which is no error of ours
        sys.stderr.close()
        sys.exit(141)
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        full = "; free some space and run the same command again" if error.errno in DISK_FULL else ""
        print(f"{program}: error: {error}{full}", file=sys.stderr)
        sys.exit(2)
    except RuntimeError as error:
        if not LOST_LOADER.search(str(error)):
            raise
        print(
            f"{program}: error: a process that loads audio was killed, most often for want of memory ({error}): lower "
            "num_workers or batch_bins, or ask the queue for more memory; start the same command again",
            file=sys.stderr,
        )
        sys.exit(2)
    sys.exit(status if isinstance(status, int) else 0)
