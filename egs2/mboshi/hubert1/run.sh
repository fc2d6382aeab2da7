#!/usr/bin/env bash
# Trains a mini HuBERT on two speakers of Mboshi, two iterations; options win over the values below: ./hubert1.sh --help
# The unseen speaker is data/test: stage 8 evaluates on it, too.
set -euo pipefail

exec ./hubert1.sh \
    --train_set train \
    --valid_set dev \
    --test_sets test \
    --lang mdw \
    --train_configs "conf/train_hubert_mini.yaml conf/train_hubert_mini.yaml" \
    --features_km "mfcc espnet_hubert" \
    --layers_km "0 1" \
    --n_clusters "100 100" \
    --portion_km "1.0 1.0" \
    --ngpu 0 \
    --nj 2 \
    "$@"
