"""The entry of this folder: it runs the module that has the name of the command."""

import importlib
import os
import subprocess
import sys


def main() -> None:
    """Run one command; a missing or unwritable file ends it with one line instead of a traceback."""
    command, *arguments = sys.argv[1:]
    try:
        importlib.import_module(command).main(arguments)
    except OSError as error:
        print(f"{command}: {error.filename or 'write'}: {error.strerror}", file=sys.stderr)
        sys.exit(1)
    except subprocess.CalledProcessError:
        sys.exit(1)  # the program that failed has said why
    except KeyboardInterrupt:
        sys.exit(130)


os.environ["LC_ALL"] = "C"  # for the programs that are started from here
main()
