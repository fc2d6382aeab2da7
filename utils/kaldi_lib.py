"""Command lines of the filters behind the .pl names -> open inputs, field ranges, clear errors.

Everything is bytes, as in the C locale: keys compare by byte and text needs no decoding. Only the standard
library is used, and little of it: these programs must start in milliseconds. They need Python 3.10 or newer.
"""

import os
import sys


def fail(message):
    """End the program with one line on standard error and exit code 1."""
    sys.stdout.flush()
    sys.stderr.write(f"{os.path.basename(sys.argv[0])}: {message}\n")
    sys.exit(1)


def shown(data):
    """Bytes of a table as text for a message."""
    return data.decode("utf-8", "replace").rstrip("\r\n")


def run(main):
    """Call main(arguments); a missing file or a closed pipe ends the program without a traceback."""
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(141)  # what the shell reports for a filter whose reader has gone (128 + SIGPIPE)
    except OSError as error:
        fail(f"{error.filename or 'write'}: {error.strerror}")
    except KeyboardInterrupt:
        sys.exit(130)


def open_input(path):
    """A file opened for reading bytes; "-" is standard input."""
    return sys.stdin.buffer if path == "-" else open(path, "rb")


def numbered_lines(paths):
    """Yield (location, line) for all lines of the files in turn, or of standard input where there are none."""
    for path in paths or ["-"]:
        name = "standard input" if path == "-" else path
        with open_input(path) as stream:
            for number, line in enumerate(stream, 1):
                yield f"{name}:{number}", line


def field_range(spec):
    """The zero-based half-open range of "-f 2", "-f 2-4", "-f 2-", "-f -4"; "2:4" is accepted as "2-4".

    >>> field_range("2"), field_range("2-4"), field_range("2-")
    ((1, 2), (1, 4), (1, None))
    """
    first, dash, last = spec.replace(":", "-").partition("-")
    if not dash:
        last = first
    if not (first or last) or not (first + last).isdigit() or first == "0" or last == "0":
        fail(f"bad field range '{spec}'; it looks like 2, 2-4, 2- or -4")
    return int(first) - 1 if first else 0, int(last) if last else None


def map_fields(location, line, fields, convert):
    """The whitespace-separated fields of a line; those in the half-open range go through
    convert(field, location, position)."""
    words = line.split()
    begin, end = fields
    for position in range(begin, len(words) if end is None else min(end, len(words))):
        words[position] = convert(words[position], location, position)
    return words
