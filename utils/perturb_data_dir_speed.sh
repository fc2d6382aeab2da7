#!/usr/bin/env bash
# A data directory and a factor -> a directory with ids "sp<factor>-..." and sox pipes in wav.scp; labels are scaled.
# Usage: $0 [options] <factor> <srcdir> <destdir>     e.g.: $0 0.9 data/train data/train_sp0.9

set -euo pipefail

include_spk_prefix=true   # false: speakers keep their ids, utterances and recordings get "-sp<factor>" at their end

. "$(dirname "$0")/parse_options.sh"
utils=$(dirname "$0")

[ $# -eq 3 ] || { echo "Usage: $0 [--include-spk-prefix false] <factor> <srcdir> <destdir>" >&2; exit 1; }

"${utils}/python.sh" -SE "${utils}/datadir" speed "$1" "$2" "$3" "${include_spk_prefix}"
"${utils}/validate_data_dir.sh" --no-feats --no-text "$3"
