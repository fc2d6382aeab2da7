#!/usr/bin/env bash
# SUPERB's tasks on debian_voices, as far as it can carry them: needs ../ssl1 up to stage 4. Options win: ./superb.sh --help
set -euo pipefail

. ./path.sh
[ -d data/qbe ] || python3 local/tasks.py --dumpdir ../ssl1/dump data

exec ./superb.sh \
    --model ../../mini_espeak/ssl1/models/hubert_mini \
    --systems "mfcc untrained model" \
    --rules rules/mini.yaml \
    "$@"
