#!/usr/bin/env bash
# A data directory with segments -> one whose utterances are the whole recordings; without segments a copy.
# Usage: $0 <in-data> <out-data>     e.g.: $0 data/dev data/dev_whole

set -euo pipefail

utils=$(dirname "$0")/..

[ $# -eq 2 ] || { echo "Usage: $0 <in-data> <out-data>" >&2; exit 1; }
if [ ! -f "$1/segments" ]; then
    echo "$0: $1 has no segments: it is copied as it is"
    exec "${utils}/copy_data_dir.sh" "$1" "$2"
fi
"${utils}/python.sh" -SE "${utils}/datadir" whole "$1" "$2"
"${utils}/fix_data_dir.sh" "$2"
