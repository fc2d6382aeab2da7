"""How programs end: one line that says what happened and what to do, whoever made the mistake, and an exit status.

A user's mistake is a `UserError`. What the machine refuses (memory, disk, threads, files) is known by its error, and
has a remedy. What nobody foresaw is one line too; its traceback goes into a file, for a report.
"""

import errno
import os
import re
import sys
import time
from collections.abc import Callable

_MEMORY = "out of memory: lower batch_bins, max_bins_per_gpu, num_workers or nj, or ask the queue for more"
_THREADS = "no more threads or processes: lower num_threads, num_workers or nj, or raise the limit (ulimit -u)"
_RIGHTS = "look at the rights of this file and of its folder (ls -ld), or choose another folder"
REMEDIES = {
    errno.ENOSPC: "free some space and run the same command again",
    errno.EDQUOT: "free some space and run the same command again",
    errno.ENOMEM: _MEMORY,
    errno.EAGAIN: _THREADS,
    errno.EMFILE: "too many open files: raise the limit (ulimit -n), or lower num_workers and nj",
    errno.ENFILE: "too many open files on this machine: lower num_workers and nj",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: "this file system may only be read: choose another folder",
}
# What PyTorch and Python say where they give no number: words -> remedy. Compiled when there is an error to explain:
# every program starts with this module.
SPOKEN = (
    (r"out of memory|can't allocate memory|cannot allocate memory|bad_?alloc|alloc_cpu", _MEMORY),
    (r"can't start new thread|thread creation failed|resource temporarily unavailable", _THREADS),
    (
        r"shared memory|/torch_\d+|shm_open|bus error",
        "too little shared memory (/dev/shm): enlarge it (docker run --shm-size 8g), lower num_workers or batch_bins, "
        "or load in the training process with num_workers: 0",
    ),
)
LOST_LOADER = r"DataLoader worker \(pid.*\) (is killed by signal|exited unexpectedly)"  # PyTorch's words
SHOWN_CHARACTERS = 400  # of an error that may quote its input


class UserError(Exception):
    """Something the user can mend: the message says what, where, what was expected and what to do."""


def run_main(main: Callable[[], object]) -> None:
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
    except Exception as error:
        message = explain(error)
        if message is None:
            print(f"{program}: error: {unforeseen(program, error)}", file=sys.stderr)
            sys.exit(1)
        print(f"{program}: error: {message}", file=sys.stderr)
        sys.exit(2)
    sys.exit(status if isinstance(status, int) else 0)


def explain(error: Exception) -> str | None:
    """What the machine refused, in one line with what to do about it; None for anything else."""
    said = " ".join(str(error).split())
    if isinstance(error, RuntimeError) and re.search(LOST_LOADER, said) and "shared memory" not in said:
        return (
            f"a process that loads audio was killed, most often for want of memory ({said}): lower "
            "num_workers or batch_bins, or ask the queue for more memory; start the same command again"
        )
    if isinstance(error, MemoryError):
        return f"{said}; {_MEMORY}" if said else _MEMORY
    spoken = next((remedy for words, remedy in SPOKEN if re.search(words, said, re.IGNORECASE)), None)
    if isinstance(error, OSError) and (error.errno is not None or error.filename is not None):
        remedy = REMEDIES.get(error.errno or 0, spoken)
        return f"{said}; {remedy}" if remedy else said
    if isinstance(error, RuntimeError | OSError) and spoken:
        return f"{said[:SHOWN_CHARACTERS]}; {spoken}"
    return None


def unforeseen(program: str, error: Exception) -> str:
    """One line about an error that nobody foresaw; its traceback is kept in a file."""
    import traceback  # not needed by programs that end well

    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" ({os.path.basename(last[0].filename)}:{last[0].lineno})" if last else ""
    said = " ".join(f"{type(error).__name__}: {error}".split())[:SHOWN_CHARACTERS]
    return f"unforeseen {said}{where}; damaged input, or a fault of ours: {_keep_traceback(program, error)}"


def _keep_traceback(program: str, error: Exception) -> str:
    """Write it beside the user's work, or where one may write; says where."""
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(error))
    name = f"{program}.{time.strftime('%Y%m%d_%H%M%S')}.{os.getpid()}.traceback"
    for folder in (os.getcwd(), tempfile.gettempdir()):
        path = os.path.join(folder, name)
        try:
            with open(path, "w", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(f"{sys.argv}\n{text}")
        except OSError:
            continue
        return f"the traceback is in {path}; please report it with that file"
    return f"no file could be written, so here is the traceback:\n{text}"
