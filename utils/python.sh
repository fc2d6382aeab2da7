#!/bin/sh
# Arguments of python3 -> the same arguments run by the python3 that starts fastest.
#
# The programs behind the .pl names need the standard library only, so any Python 3 does. The toolkit's own
# environment comes first; a version manager's shim costs 80 ms at each start, so the system's Python is taken then.

own=${0%/*}/../tools/venv/bin/python3
if [ ! -x "${own}" ]; then
    own=$(command -v python3) || { echo "$0: no python3 on PATH: install Python 3.10 or newer" >&2; exit 1; }
    case ${own} in
        */shims/*)
            system=/usr/bin/python3
            "${system}" -SE -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2> /dev/null && own=${system} ;;
    esac
fi
exec "${own}" "$@"
