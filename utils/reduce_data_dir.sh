#!/usr/bin/env bash
# A data directory and a list of utterances -> a data directory of these (ESPnet's name of a choice of subset_data_dir.sh).
# Usage: $0 <srcdir> <utterance list> <destdir>

set -euo pipefail

[ $# -eq 3 ] || { echo "Usage: $0 <srcdir> <utterance list> <destdir>" >&2; exit 1; }
exec "$(dirname "$0")/subset_data_dir.sh" --utt-list "$2" "$1" "$3"
