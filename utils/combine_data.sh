#!/usr/bin/env bash
# Data directories -> one directory with the lines of all; a table must exist in every source to be combined.
# The target is replaced. A source without segments gets them where another has some.
# Usage: $0 [options] <dest-data-dir> <src-data-dir1> <src-data-dir2> ...

set -euo pipefail

extra_files=     # more tables to merge, e.g. "file1 file2"
skip_fix=false   # true: do not end with fix_data_dir.sh

. "$(dirname "$0")/parse_options.sh"
utils=$(dirname "$0")

[ $# -ge 2 ] || { echo "Usage: $0 [--extra-files 'f1 f2'] <dest-data-dir> <src-data-dir1> ..." >&2; exit 1; }

"${utils}/python.sh" -SE "${utils}/datadir" combine "${extra_files}" "$@"
if ! "${skip_fix}"; then "${utils}/fix_data_dir.sh" "$1"; fi
