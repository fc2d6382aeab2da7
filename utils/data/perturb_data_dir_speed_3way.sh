#!/usr/bin/env bash
# A data directory -> one with the original and the speeds 0.9 and 1.1 of everything.
# Usage: $0 [options] <srcdir> <destdir>     e.g.: $0 data/train data/train_sp

set -euo pipefail

always_include_prefix=false   # true: the original too gets a prefix, "sp1.0-"
include_spk_prefix=true       # false: speakers keep their ids, utterances get a suffix

. "$(dirname "$0")/../parse_options.sh"
utils=$(dirname "$0")/..

[ $# -eq 2 ] || { echo "Usage: $0 [--always-include-prefix true] <srcdir> <destdir>" >&2; exit 1; }
source=$1
target=${2%/}

trap 'rm -rf "${target}_speed0.9" "${target}_speed1.1" "${target}_speed1.0"' EXIT
"${utils}/perturb_data_dir_speed.sh" --include_spk_prefix "${include_spk_prefix}" 0.9 "${source}" "${target}_speed0.9"
"${utils}/perturb_data_dir_speed.sh" --include_spk_prefix "${include_spk_prefix}" 1.1 "${source}" "${target}_speed1.1"
original=${source}
if "${always_include_prefix}"; then
    original=${target}_speed1.0
    "${utils}/copy_data_dir.sh" --spk-prefix sp1.0- --utt-prefix sp1.0- "${source}" "${original}"
    # copy_data_dir.sh knows no originals where the source has none; combine_data.sh would take "sp1.0-..." for one.
    [ -e "${original}/utt2uniq" ] || awk '{print "sp1.0-" $1, $1}' "${source}/utt2spk" > "${original}/utt2uniq"
fi
"${utils}/combine_data.sh" "${target}" "${original}" "${target}_speed0.9" "${target}_speed1.1"
"${utils}/validate_data_dir.sh" --no-feats --no-text "${target}"
