#!/usr/bin/env bash
# The TIMIT corpus in, data/{train,dev,test} out: 3,696, 400 and 192 sentences with hand-made phone times.
#
# Usage: $0 [options]        e.g.: $0 --timit_root /corpora/TIMIT
# TIMIT is licensed by the LDC (LDC93S1): nothing can be fetched. The folder may also stand in db.sh (TIMIT).
set -euo pipefail

timit_root=                   # folder that holds TRAIN/ and TEST/, or train/ and test/, at most two levels below
phone_set=39                  # labels of phones.ctm: 39, as results are reported, or the corpus's own 61
use_sa=false                  # true: keep the two sentences that every speaker reads
nj=4                          # processes that read labels

. utils/parse_options.sh
. scripts/corpus/start.sh

root="${timit_root:-${TIMIT:-}}"
[ -n "${root}" ] || die "where is TIMIT (LDC93S1)? Pass --timit_root, or set TIMIT in db.sh; it cannot be fetched"
prepare_sets "train dev test" --phone_set "${phone_set}" --use_sa "${use_sa}" --nj "${nj}"
