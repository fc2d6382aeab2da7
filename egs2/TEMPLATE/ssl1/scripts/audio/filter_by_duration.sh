#!/usr/bin/env bash
# Stage 4: the utterances that are neither too short nor too long; says what was kept.
# Usage: $0 [options] <input-dir> <output-dir>
# e.g.:  $0 --min_wav_duration 0.1 --max_wav_duration 20 dump/org/train dump/train
set -euo pipefail

min_wav_duration=0.1   # seconds
max_wav_duration=20    # seconds
python=python3

. utils/log.sh
. utils/parse_options.sh
[ $# -eq 2 ] || die "expected <input-dir> <output-dir>, got $# arguments (--help explains)"

exec "${python}" -m espnet2.bin.ssl_filter_audio \
    --min_wav_duration "${min_wav_duration}" --max_wav_duration "${max_wav_duration}" "$1" "$2"
