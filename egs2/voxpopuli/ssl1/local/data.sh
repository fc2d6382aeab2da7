#!/usr/bin/env bash
# VoxPopuli's unlabelled recordings in, data/train and data/dev out: the publisher's segments of 15 to 30 s, utt2lang.
#
# Usage: $0 [options]        e.g.: $0 --voxpopuli_root /corpora/voxpopuli --languages de,fr --subset 10k
set -euo pipefail

voxpopuli_root=               # folder with raw_audios/<language>/<year>/ and unlabelled_data/unlabelled_v2.tsv.gz
subset=10k                    # 10k: plenary sessions of 2019 and 2020; 100k: all plenary sessions; 400k: everything
languages=                    # such as de,fr; empty: every folder of raw_audios
segmented=false               # true: files that VoxPopuli's own script has cut (unlabelled_data/<language>/<year>/)
dev_hours=5                   # hours of held-out sessions in data/dev
max_missing_share=0.01        # of the sessions: more of them without audio is an error
download=false                # true: fetch audio and list into downloads/ (a language of 10k: about 7 GB)
nj=4                          # folders to read at a time

. utils/parse_options.sh
. scripts/corpus/start.sh

languages=${languages//,/ }
root=${voxpopuli_root:-${VOXPOPULI:-}}
if [ "${download}" = true ]; then
    root=downloads
    python3 local/download.py --to "${root}" --subset "${subset}" --languages "${languages}"
fi
[ -n "${root}" ] || die "where is VoxPopuli? Pass --voxpopuli_root, set VOXPOPULI in db.sh, or pass --download true"
prepare_sets "train dev" --work data/.work --subset "${subset}" --languages "${languages}" --segmented "${segmented}" \
    --dev_hours "${dev_hours}" --max_missing_share "${max_missing_share}" --nj "${nj}"
