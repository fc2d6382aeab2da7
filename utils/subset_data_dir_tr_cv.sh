#!/usr/bin/env bash
# A data directory -> two without a common speaker: for training, and a part of the speakers for validation.
# Usage: $0 [options] <src-data> <train-data> <cv-data>     e.g.: $0 --cv-spk-percent 10 data/all data/train data/dev

set -euo pipefail

cv_spk_percent=10   # of the speakers
cv_spk_list=        # file of the validation speakers instead, one a line
seed=777            # of the draw
cv_utt_percent=     # for Kaldi's sake: without effect, as there

. "$(dirname "$0")/parse_options.sh"
utils=$(dirname "$0")
: "${cv_utt_percent}"

[ $# -eq 3 ] || { echo "Usage: $0 [options] <src-data> <train-data> <cv-data>     (--help lists the options)" >&2; exit 1; }
[ -r "$1/spk2utt" ] || { echo "$0: no such file $1/spk2utt" >&2; exit 1; }

lists=$(mktemp -d "${TMPDIR:-/tmp}/tr_cv.XXXXXX")
trap 'rm -rf "${lists}"' EXIT
cut -d ' ' -f 1 "$1/spk2utt" > "${lists}/all"
if [ -z "${cv_spk_list}" ]; then
    count=$(($(wc -l < "${lists}/all") * cv_spk_percent / 100))
    [ "${count}" -gt 0 ] || { echo "$0: ${cv_spk_percent} % of the speakers of $1 are none: nothing written" >&2; exit 1; }
    "${utils}/shuffle_list.pl" --srand "${seed}" "${lists}/all" > "${lists}/shuffled"
    head -n "${count}" "${lists}/shuffled" > "${lists}/cv"
else
    cp "${cv_spk_list}" "${lists}/cv"
fi
"${utils}/filter_scp.pl" --exclude "${lists}/cv" "${lists}/all" > "${lists}/train"
echo "$0: speakers: $(wc -l < "${lists}/all"), $(wc -l < "${lists}/train") for training," \
    "$(wc -l < "${lists}/cv") for validation"
"${utils}/subset_data_dir.sh" --spk-list "${lists}/train" "$1" "$2"
"${utils}/subset_data_dir.sh" --spk-list "${lists}/cv" "$1" "$3"
