#!/usr/bin/env bash
# A data directory -> the same one, in place, with sox pipes in wav.scp that multiply each recording by its own factor.
# Usage: $0 [options] <data-dir>     e.g.: $0 data/train_sp

set -euo pipefail

reco2vol=         # file of "<recording> <factor>" lines instead of drawn factors
write_reco2vol=   # write the factors there
scale_low=0.125   # smallest factor that is drawn
scale_high=2      # largest

. "$(dirname "$0")/../parse_options.sh"
utils=$(dirname "$0")/..

[ $# -eq 1 ] || { echo "Usage: $0 [options] <data-dir>     (--help lists the options)" >&2; exit 1; }

exec "${utils}/python.sh" -SE "${utils}/datadir" volume \
    "$1" "${scale_low}" "${scale_high}" "${reco2vol}" "${write_reco2vol}"
