#!/usr/bin/env bash
# SUPERB's tasks on Mboshi, small enough for two cores: needs ../hubert1 up to stage 4. Options win: ./superb.sh --help
set -euo pipefail

mboshi_root=${MBOSHI:-../hubert1/downloads/mboshi}
. ./path.sh
[ -d data/pr ] || python3 local/tasks.py --mboshi_root "${mboshi_root}" --dumpdir ../hubert1/dump data

exec ./superb.sh \
    --model ../../mini_espeak/ssl1/models/hubert_mini \
    --systems "mfcc untrained model" \
    --rules rules/mini.yaml \
    "$@"
