#!/usr/bin/env bash
# Meetings, who speaks when as RTTM: the kind of recipes for diarization. For tests only.
set -euo pipefail

. ./db.sh
. ./path.sh
. utils/parse_options.sh

mkdir -p data/dev
for rttm in ${DIHARD2}/data/rttm/*.rttm; do
    reco=$(basename ${rttm} .rttm)
    echo "${reco} ${DIHARD2}/data/flac/${reco}.flac" >> data/dev/wav.scp
    awk '{printf("%s_%s_%07.0f_%07.0f %s %.3f %.3f\n", $8, $2, $4 * 1000, ($4 + $5) * 1000, $2, $4, $4 + $5)}' ${rttm} >> data/dev/segments
done
sort data/dev/segments -o data/dev/segments
awk '{split($1, part, "_"); print $1, part[1]}' data/dev/segments > data/dev/utt2spk
utils/utt2spk_to_spk2utt.pl data/dev/utt2spk > data/dev/spk2utt
utils/data/get_reco2dur.sh data/dev
utils/fix_data_dir.sh data/dev
steps/segmentation/convert_utt2spk_and_segments_to_rttm.py data/dev/utt2spk data/dev/segments data/dev/rttm
utils/data/get_segments_for_data.sh data/dev | cmp - data/dev/segments
utils/data/get_reco2utt_for_data.sh data/dev > data/dev/reco2utt
