#!/usr/bin/env bash
# Pre-trains a model on GigaSpeech, by default BEST-RQ, which needs no labels. GIGASPEECH_SUBSET=xs ./run.sh takes 10 hours,
# xl (the default) 10,000. Options win over the values below: ./ssl1.sh --help
set -euo pipefail

export GIGASPEECH_SUBSET="${GIGASPEECH_SUBSET:-xl}"    # local/data.sh reads it

exec ./ssl1.sh \
    --train_set "train_${GIGASPEECH_SUBSET}" \
    --valid_set dev \
    --lang en \
    --train_config conf/train_best_rq_base.yaml \
    --audio_format flac.ark \
    --ngpu 8 \
    --nj 64 \
    "$@"
