#!/usr/bin/env bash
# An unpacked Common Voice release in, data/{train,dev,test}_<lang> out.
#
# Usage: $0 [options]        e.g.: $0 --commonvoice_root /corpora/cv-corpus-17.0-2024-03-15 --lang sv-SE
# Releases are handed out after a registration: nothing can be fetched here. The folder may also stand in db.sh.
set -euo pipefail

commonvoice_root=             # folder with <lang>/{clips,*.tsv}, or that folder itself, or one that holds cv-corpus-*/
lang=${COMMONVOICE_LANG:-en}  # code of Common Voice (run.sh sets it); several are one set: de,fr makes train_de_fr
train_lists=validated,other   # what train is made of, less the clips and the speakers of dev and test
max_missing_ratio=0.01        # share of the listed clips that may be missing in clips/

. utils/parse_options.sh
. scripts/corpus/start.sh

root="${commonvoice_root:-${COMMONVOICE:-}}"
[ -n "${root}" ] || die "where is Common Voice? Pass --commonvoice_root, or set COMMONVOICE in db.sh; README.md says where to get it"
lang=${lang//,/ }
tag=${lang// /_}
prepare_sets "train_${tag} dev_${tag} test_${tag}" --lang "${lang}" --tag "${tag}" \
    --train_lists "${train_lists//,/ }" --max_missing_ratio "${max_missing_ratio}"
