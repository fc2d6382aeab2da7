#!/usr/bin/env bash
# Pre-trains a model on AISHELL-1 (150 hours), by default BEST-RQ, which needs no labels. Others: --train_config
# conf/train_<objective>_base.yaml, for HuBERT and WavLM with --pseudo_labels ../hubert1. All options: ./ssl1.sh --help
set -euo pipefail

exec ./ssl1.sh \
    --train_set train \
    --valid_set dev \
    --lang zh \
    --train_config conf/train_best_rq_base.yaml \
    --ngpu 4 \
    --nj 16 \
    "$@"
