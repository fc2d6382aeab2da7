#!/usr/bin/env bash
# Pre-trains a mini model on the voices of Debian packages, by default BEST-RQ, which needs no labels. Options win over the
# values below: ./ssl1.sh --help
set -euo pipefail

exec ./ssl1.sh \
    --train_set train \
    --valid_set dev \
    --lang multi \
    --max_wav_duration 45 \
    --train_config conf/train_best_rq_mini.yaml \
    --ngpu 0 \
    --nj 2 \
    "$@"
