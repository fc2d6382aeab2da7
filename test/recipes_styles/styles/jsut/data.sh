#!/usr/bin/env bash
# One voice, recordings with silence at both ends, phones instead of text: the kind of corpora for synthesis. For tests only.
set -euo pipefail

log() { echo "$(date) $*"; }
stage=-1
stop_stage=3
text_format=phn
g2p=none
nj=2
threshold=35
fs=16000
cleaner=none

. utils/parse_options.sh || exit 1
. ./path.sh || exit 1
. ./cmd.sh || exit 1
. ./db.sh || exit 1

if [ -z "${JSUT}" ]; then log "Fill the value of 'JSUT' of db.sh"; exit 1; fi
if [ ${stage} -le 0 ] && [ ${stop_stage} -ge 0 ]; then
    log "stage 0: local/data_prep.py"
    mkdir -p data/all
    python3 local/data_prep.py --with_speaker true "${JSUT}" data/all
    utils/utt2spk_to_spk2utt.pl data/all/utt2spk > data/all/spk2utt
    utils/validate_data_dir.sh --no-feats data/all
fi
if [ ${stage} -le 1 ] && [ ${stop_stage} -ge 1 ]; then
    log "stage 1: scripts/audio/trim_silence.sh"
    scripts/audio/trim_silence.sh \
        --cmd "${train_cmd}" --nj "${nj}" --fs ${fs} --win_length 1024 --shift_length 256 --threshold "${threshold}" \
        data/all data/all/log
fi
if [ ${stage} -le 2 ] && [ ${stop_stage} -ge 2 ]; then
    log "stage 2: split for development set"
    utils/subset_data_dir.sh --first data/all 1 data/dev
    n=$(($(wc -l < data/all/segments) - 1))
    utils/subset_data_dir.sh --last data/all ${n} data/tr
fi
if [ ${stage} -le 3 ] && [ ${stop_stage} -ge 3 ] && [ "${text_format}" = phn ]; then
    log "stage 3: pyscripts/utils/convert_text_to_phn.py"
    for dset in tr dev; do
        utils/copy_data_dir.sh "data/${dset}" "data/${dset}_phn"
        pyscripts/utils/convert_text_to_phn.py --nj "${nj}" --g2p "${g2p}" --cleaner "${cleaner}" \
            "data/${dset}/text" "data/${dset}_phn/text"
        utils/fix_data_dir.sh "data/${dset}_phn"
    done
fi
