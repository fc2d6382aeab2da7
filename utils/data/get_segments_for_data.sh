#!/usr/bin/env bash
# A data directory -> segments on standard output: its own, or each utterance from 0 to its end.
# Usage: $0 <data-dir> > <segments>     e.g.: $0 data/train > segments

set -euo pipefail

here=$(dirname "$0")
[ $# -eq 1 ] || { echo "Usage: $0 <data-dir> > <segments>" >&2; exit 1; }
if [ -f "$1/segments" ]; then exec cat "$1/segments"; fi
"${here}/get_utt2dur.sh" "$1" >&2
awk '{ print $1, $1, 0, $2 }' "$1/utt2dur"
