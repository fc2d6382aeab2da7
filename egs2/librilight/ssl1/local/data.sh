#!/usr/bin/env bash
# Libri-Light in, data/train and data/dev out: its own voice activity, joined to segments of up to half a minute.
#
# Usage: $0 [options]        e.g.: $0 --librilight_root /corpora/librilight --subsets small,medium,large --nj 16
# A call that was stopped goes on where it was (data/.work).
set -euo pipefail

librilight_root=              # folder with small/, medium/, large/
subsets=small                 # any of small,medium,large,duplicate; medium and large hold nothing of the smaller ones
max_seconds=30                # longest segment; voice activity that is longer is cut into equal parts
max_pause_seconds=2           # longest pause inside a segment
min_seconds=2                 # shorter segments are left out
segmented=false               # true: the tree holds files that were cut already; each is one utterance
dev_hours=5                   # hours of held-out speakers in data/dev
download=false                # true: fetch the subsets (small 35 GB, medium 321 GB, large 3.05 TB) into downloads/
nj=4                          # processes

. utils/parse_options.sh
. scripts/corpus/start.sh

subsets=${subsets//,/ }
root=${librilight_root:-${LIBRILIGHT:-}}
if [ "${download}" = true ]; then
    root=downloads
    # shellcheck disable=SC2086
    python3 local/download.py --to "${root}" ${subsets}
fi
[ -n "${root}" ] || die "where is Libri-Light? Pass --librilight_root, set LIBRILIGHT in db.sh, or pass --download true"
prepare_sets "train dev" --work data/.work --subsets "${subsets}" --max_seconds "${max_seconds}" \
    --max_pause_seconds "${max_pause_seconds}" --min_seconds "${min_seconds}" --segmented "${segmented}" \
    --dev_hours "${dev_hours}" --nj "${nj}"
