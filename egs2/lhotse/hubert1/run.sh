#!/usr/bin/env bash
# Trains HuBERT Base on manifests of lhotse, two iterations as published:
#   ./run.sh --local_data_opts "--train cuts.jsonl.gz"
# The audio is read where it lies; --audio_format flac writes audio of one form where rates or channels differ.
# For one node of 8 GPUs; with fewer the same batches take longer (--ngpu). Options win over the values below: ./hubert1.sh --help
set -euo pipefail

exec ./hubert1.sh \
    --train_set train \
    --valid_set dev \
    --train_configs "conf/train_hubert_base_iter0.yaml conf/train_hubert_base.yaml" \
    --features_km "mfcc espnet_hubert" \
    --layers_km "0 6" \
    --n_clusters "100 500" \
    --portion_km "1.0 0.1" \
    --audio_format as_is \
    --max_wav_duration 30 \
    --ngpu 8 \
    --nj 32 \
    "$@"
