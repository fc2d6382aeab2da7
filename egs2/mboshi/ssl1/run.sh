#!/usr/bin/env bash
# Pre-trains a mini model on two speakers of Mboshi, by default HuBERT from the labels of ../hubert1 (run that first to
# stage 5). Options win over the values below: ./ssl1.sh --help
set -euo pipefail

exec ./ssl1.sh \
    --train_set train \
    --valid_set dev \
    --test_sets test \
    --lang mdw \
    --train_config conf/train_hubert_mini.yaml \
    --pseudo_labels ../hubert1 \
    --ngpu 0 \
    --nj 2 \
    "$@"
