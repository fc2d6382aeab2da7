#!/bin/sh
# Arguments of python3 -> the same arguments run by the python3 that starts fastest.
#
# The programs behind the .pl names need the standard library only, so any Python 3 does. The toolkit's own
# environment comes first; a version manager's shim costs 80 ms at each start, so the system's Python is taken then.

# The path has to be without links: Python loses its environment where it is started as <recipe>/utils/../tools/...
main=$(CDPATH='' cd -P "${0%/*}/.." 2> /dev/null && pwd -P)
own=${main}/tools/venv/bin/python3
# Recipes of an installed package name the Python that has it (espnet2-ssl recipe).
[ ! -f "${main}/.installed_python" ] || read -r own < "${main}/.installed_python"
if [ ! -x "${own}" ]; then
    own=$(command -v python3) || { echo "$0: no python3 on PATH: install Python 3.10 or newer" >&2; exit 1; }
    case ${own} in
        */shims/*)
            system=/usr/bin/python3
            "${system}" -SE -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2> /dev/null && own=${system} ;;
    esac
fi
# Somebody else's toolkit: what is compiled goes to the user's own cache, never into the shared folders.
# shellcheck disable=SC3067  # dash, busybox and bash know it; elsewhere everybody counts as somebody else
if ! [ -O "${0%/*}" ]; then
    set -- -X "pycache_prefix=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/espnet2_ssl/pycache" "$@"
fi
exec "${own}" "$@"
