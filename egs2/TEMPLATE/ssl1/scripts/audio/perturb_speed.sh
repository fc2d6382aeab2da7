#!/usr/bin/env bash
# A data folder in, one with copies at other speeds out (factor 1.0 is the original).
# Usage: scripts/audio/perturb_speed.sh --factors "0.9 1.0 1.1" data/train data/train_sp
set -euo pipefail

factors="0.9 1.0 1.1"   # Speeds; 1.0 keeps the original.

. utils/log.sh
. utils/parse_options.sh
[ $# -eq 2 ] || die "Usage: $0 --factors \"0.9 1.0 1.1\" <data dir> <new data dir>"
source_dir=$1
target_dir=$2

parts=()
for factor in ${factors}; do
    if [ "$(awk -v f="${factor}" 'BEGIN { print (f + 0 == 1) }')" = 1 ]; then
        parts+=("${source_dir}")
    else
        utils/perturb_data_dir_speed.sh "${factor}" "${source_dir}" "${target_dir}.speed${factor}"
        parts+=("${target_dir}.speed${factor}")
    fi
done
utils/combine_data.sh "${target_dir}" "${parts[@]}"
rm -rf "${target_dir}".speed*
