#!/usr/bin/env bash
# Speakers in folders, copies at other speeds and volumes: the kind of recipes for speaker recognition. For tests only.
set -euo pipefail

. ./db.sh || exit 1
. ./path.sh || exit 1
. ./cmd.sh || exit 1
nj=2
. utils/parse_options.sh || exit 1

mkdir -p data/voxceleb1_train
find -L "${VOXCELEB}" -name "*.wav" | sort | while read -r f; do
    id=$(echo "${f}" | awk -F/ '{print $(NF-2) "-" $(NF-1) "-" $NF}' | sed 's/\.wav$//')
    echo "${id} ${f}"
done > data/voxceleb1_train/wav.scp
awk '{print $1, substr($1, 1, 7)}' data/voxceleb1_train/wav.scp > data/voxceleb1_train/utt2spk
utils/utt2spk_to_spk2utt.pl data/voxceleb1_train/utt2spk > data/voxceleb1_train/spk2utt
utils/validate_data_dir.sh --no-feats --no-text data/voxceleb1_train
utils/data/get_utt2dur.sh --nj ${nj} --cmd "${train_cmd}" data/voxceleb1_train
utils/data/perturb_data_dir_speed_3way.sh data/voxceleb1_train data/train_sp
utils/data/perturb_data_dir_volume.sh data/train_sp
utils/copy_data_dir.sh --utt-suffix -noise data/voxceleb1_train data/train_noise
utils/combine_data.sh data/train data/train_sp data/train_noise
utils/subset_data_dir.sh --per-spk data/voxceleb1_train 1 data/enrol
