#!/usr/bin/env bash
# Pre-trains a model on unlabelled VoxPopuli, by default HuBERT Base from the labels of ../hubert1 (run that first).
# For one node of 8 GPUs; with fewer the same batches take longer (--ngpu). Options win over the values below: ./ssl1.sh --help
set -euo pipefail

exec ./ssl1.sh \
    --train_set train \
    --valid_set dev \
    --lang multilingual \
    --train_config conf/train_hubert_base.yaml \
    --pseudo_labels ../hubert1 \
    --audio_format flac.ark \
    --max_wav_duration 31 \
    --ngpu 8 \
    --nj 32 \
    "$@"
