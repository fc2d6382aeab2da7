#!/usr/bin/env bash
# Trains HuBERT Base on GigaSpeech, two iterations. GIGASPEECH_SUBSET=xs ./run.sh takes 10 hours, xl (the default) 10,000.
# Options win over the values below: ./hubert1.sh --help
set -euo pipefail

export GIGASPEECH_SUBSET="${GIGASPEECH_SUBSET:-xl}"    # local/data.sh reads it

exec ./hubert1.sh \
    --train_set "train_${GIGASPEECH_SUBSET}" \
    --valid_set dev \
    --lang en \
    --train_configs "conf/train_hubert_base_iter0.yaml conf/train_hubert_base.yaml" \
    --features_km "mfcc espnet_hubert" \
    --layers_km "0 6" \
    --n_clusters "100 500" \
    --portion_km "0.01 0.01" \
    --audio_format flac.ark \
    --ngpu 8 \
    --nj 64 \
    "$@"
