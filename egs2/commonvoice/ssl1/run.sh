#!/usr/bin/env bash
# Pre-trains a model on Common Voice, by default BEST-RQ, which needs no labels. ./run.sh --lang de chooses the language;
# several (--lang de,fr) make one set. Options win over the values below: ./ssl1.sh --help
set -euo pipefail

lang=${COMMONVOICE_LANG:-en}    # local/data.sh reads it
for ((i = 1; i < $#; i++)); do
    if [ "${!i}" = --lang ]; then lang=${*:i+1:1}; set -- "${@:1:i}" "${lang//[ ,]/_}" "${@:i+2}"; fi
done
export COMMONVOICE_LANG="${lang}"
sets=${lang//[ ,]/_}

exec ./ssl1.sh \
    --train_set "train_${sets}" \
    --valid_set "dev_${sets}" \
    --lang "${sets}" \
    --train_config conf/train_best_rq_base.yaml \
    --ngpu 8 \
    --nj 32 \
    "$@"
