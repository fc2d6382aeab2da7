#!/usr/bin/env bash
# All stages of ./run.sh in under a minute, for tests: 24 utterances, 20 updates of a tiny model, labels of ../hubert1/smoke.sh.
# Usage: ./smoke.sh [options of ./ssl1.sh]
set -euo pipefail

./run.sh \
    --train_set train_smoke \
    --valid_set dev_smoke \
    --local_data_opts "--smoke true" \
    --expdir exp/smoke \
    --pseudo_labels ../hubert1/exp/smoke \
    --train_config conf/train_hubert_smoke.yaml \
    --eval_num_clusters 20 \
    --eval_seeds 0 \
    "$@"
