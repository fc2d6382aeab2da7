#!/usr/bin/env bash
# Pre-trains a model on the 960 hours of LibriSpeech, by default HuBERT Base from the labels of ../hubert1 (run that first).
# For one node of 8 GPUs; with fewer the same batches take longer (--ngpu). Options win over the values below: ./ssl1.sh --help
set -euo pipefail

exec ./ssl1.sh \
    --train_set train_960 \
    --valid_set dev \
    --lang en \
    --train_config conf/train_hubert_base.yaml \
    --pseudo_labels ../hubert1 \
    --max_wav_duration 36 \
    --ngpu 8 \
    --nj 32 \
    "$@"
