#!/usr/bin/env bash
# Trains HuBERT Base on Common Voice, two iterations. ./run.sh --lang de chooses the language; several (--lang de,fr)
# make one set. Options win over the values below: ./hubert1.sh --help
set -euo pipefail

lang=${COMMONVOICE_LANG:-en}    # local/data.sh reads it
for ((i = 1; i < $#; i++)); do
    if [ "${!i}" = --lang ]; then lang=${*:i+1:1}; set -- "${@:1:i}" "${lang//[ ,]/_}" "${@:i+2}"; fi
done
export COMMONVOICE_LANG="${lang}"
sets=${lang//[ ,]/_}

exec ./hubert1.sh \
    --train_set "train_${sets}" \
    --valid_set "dev_${sets}" \
    --lang "${sets}" \
    --train_configs "conf/train_hubert_base_iter0.yaml conf/train_hubert_base.yaml" \
    --features_km "mfcc espnet_hubert" \
    --layers_km "0 6" \
    --n_clusters "100 500" \
    --portion_km "0.1 0.05" \
    --ngpu 8 \
    --nj 32 \
    "$@"
