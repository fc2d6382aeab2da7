#!/usr/bin/env bash
# Songs with notes and phone labels: the kind of corpora for singing voice synthesis. For tests only.
set -euo pipefail

. ./db.sh
. ./path.sh
. ./cmd.sh
g2p=none
. utils/parse_options.sh

mkdir -p data/train
python3 local/prep_segments.py ${KIRITAN} data/train
pyscripts/utils/check_align.py data/train --g2p ${g2p} --score_dump score_dump
mv data/train/score.scp.tmp data/train/score.scp
utils/utt2spk_to_spk2utt.pl < data/train/utt2spk > data/train/spk2utt
utils/fix_data_dir.sh --utt_extra_files "label score.scp" data/train
utils/validate_data_dir.sh --no-feats data/train
