#!/usr/bin/env bash
# Read books, FLAC and one transcript file per chapter: the habits of recipes for LibriSpeech and its kind. For tests only.
set -euo pipefail

log() {
    local fname=${BASH_SOURCE[1]##*/}
    echo -e "$(date '+%Y-%m-%dT%H:%M:%S') (${fname}:${BASH_LINENO[0]}:${FUNCNAME[1]}) $*"
}
SECONDS=0
stage=1
stop_stage=100
train_set="train_both"

log "$0 $*"
. utils/parse_options.sh
. ./db.sh
. ./path.sh
. ./cmd.sh

if [ $# -ne 0 ]; then log "Error: No positional arguments are required."; exit 2; fi
if [ -z "${LIBRISPEECH}" ]; then log "Fill the value of 'LIBRISPEECH' of db.sh"; exit 1; fi

if [ ${stage} -le 1 ] && [ ${stop_stage} -ge 1 ]; then
    for part in dev-clean train-clean-a train-clean-b; do
        # use underscore-separated names in data directories.
        local/data_prep.sh ${LIBRISPEECH}/LibriSpeech/${part} data/${part//-/_}
    done
fi
if [ ${stage} -le 2 ] && [ ${stop_stage} -ge 2 ]; then
    utils/combine_data.sh --extra_files utt2num_frames data/${train_set} data/train_clean_a data/train_clean_b
    utils/subset_data_dir.sh --shortest data/${train_set} 2 data/train_short
    utils/copy_data_dir.sh --validate_opts --non-print data/dev_clean data/dev
fi
log "Successfully finished. [elapsed=${SECONDS}s]"
