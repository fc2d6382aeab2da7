#!/usr/bin/env bash
# All stages of ./run.sh in under a minute, for tests: 24 utterances, two iterations of 20 updates of a tiny model.
# Usage: ./smoke.sh [options of ./hubert1.sh]
set -euo pipefail

./run.sh \
    --train_set train_smoke \
    --valid_set dev_smoke \
    --local_data_opts "--smoke true" \
    --expdir exp/smoke \
    --train_configs "conf/train_hubert_smoke.yaml conf/train_hubert_smoke.yaml" \
    --layers_km "0 1" \
    --n_clusters "20 20" \
    --eval_num_clusters 20 \
    --eval_seeds 0 \
    "$@"
