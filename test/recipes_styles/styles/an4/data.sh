#!/usr/bin/env bash
# SPHERE files listed with their transcripts, a Python program that writes the tables: an4's kind. For tests only.
set -euo pipefail

. ./path.sh
. ./cmd.sh
. ./db.sh
ndev_utt=1
. utils/parse_options.sh

an4_root=${AN4}/an4
mkdir -p data/{train,test}
if [ ! -f ${an4_root}/README ]; then
    echo Cannot find an4 root! Exiting...
    exit 1
fi
python3 local/data_prep.py ${an4_root} sph2pipe
for x in test train; do
    for f in text wav.scp utt2spk; do
        sort data/${x}/${f} -o data/${x}/${f}
    done
    utils/utt2spk_to_spk2utt.pl data/${x}/utt2spk > data/${x}/spk2utt
done
utils/subset_data_dir.sh --first data/train ${ndev_utt} data/train_dev
n=$(($(wc -l < data/train/text) - ndev_utt))
utils/subset_data_dir.sh --last data/train ${n} data/train_nodev
utils/fix_data_dir.sh data/train_nodev
