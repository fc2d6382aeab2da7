#!/usr/bin/env bash
# Trains HuBERT Base on the 960 hours of LibriSpeech as published: MFCC, then layer 6, 100 and 500 units.
# For one node of 8 GPUs; with fewer the same batches take longer (--ngpu). Options win over the values below: ./hubert1.sh --help
set -euo pipefail

exec ./hubert1.sh \
    --train_set train_960 \
    --valid_set dev \
    --lang en \
    --train_configs "conf/train_hubert_base_iter0.yaml conf/train_hubert_base.yaml" \
    --features_km "mfcc espnet_hubert" \
    --layers_km "0 6" \
    --n_clusters "100 500" \
    --portion_km "1.0 0.1" \
    --max_wav_duration 36 \
    --ngpu 8 \
    --nj 32 \
    "$@"
