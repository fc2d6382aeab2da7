#!/usr/bin/env bash
# Pre-trains a Base model on shards, by default BEST-RQ, which needs no labels:
#   ./run.sh --local_data_opts "--train /data/*.tar"
# The audio is read where it lies; --audio_format flac writes audio of one form where rates or channels differ.
# For one node of 8 GPUs; with fewer the same batches take longer (--ngpu). Options win over the values below: ./ssl1.sh --help
set -euo pipefail

exec ./ssl1.sh \
    --train_set train \
    --valid_set dev \
    --train_config conf/train_best_rq_base.yaml \
    --audio_format as_is \
    --max_wav_duration 30 \
    --ngpu 8 \
    --nj 32 \
    "$@"
