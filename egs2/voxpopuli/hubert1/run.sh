#!/usr/bin/env bash
# Trains HuBERT on unlabelled VoxPopuli, two iterations of Base; fewer languages: --local_data_opts "--languages de,fr".
# For one node of 8 GPUs; with fewer the same batches take longer (--ngpu). Options win over the values below: ./hubert1.sh --help
set -euo pipefail

exec ./hubert1.sh \
    --train_set train \
    --valid_set dev \
    --lang multilingual \
    --train_configs "conf/train_hubert_base_iter0.yaml conf/train_hubert_base.yaml" \
    --features_km "mfcc espnet_hubert" \
    --layers_km "0 6" \
    --n_clusters "100 500" \
    --portion_km "0.1 0.1" \
    --audio_format flac.ark \
    --max_wav_duration 31 \
    --ngpu 8 \
    --nj 32 \
    "$@"
