#!/usr/bin/env bash
# Trains HuBERT Base on AISHELL-1 (150 hours), two iterations; options win over the values below: ./hubert1.sh --help
set -euo pipefail

exec ./hubert1.sh \
    --train_set train \
    --valid_set dev \
    --lang zh \
    --train_configs "conf/train_hubert_base_iter0.yaml conf/train_hubert_base.yaml" \
    --features_km "mfcc espnet_hubert" \
    --layers_km "0 6" \
    --n_clusters "100 500" \
    --portion_km "0.5 0.2" \
    --ngpu 4 \
    --nj 16 \
    "$@"
