#!/usr/bin/env bash
# The Mboshi corpus in, data/{train,dev,test} out: 3.9 hours of three speakers with phone times; test is the third speaker.
#
# Usage: $0 [options]        e.g.: $0 --mboshi_root /corpora/mboshi-french-parallel-corpus
# Without a copy of your own (option, or MBOSHI in db.sh) the parts needed are cloned into downloads/.
set -euo pipefail

mboshi_root=                  # a clone of mboshi-french-parallel-corpus
check_content=true            # false: take another version of the corpus than the one the results were measured on
audio_dir=data/audio          # where the audio goes whose header has to be mended
keep_tones=true               # false: one vowel with and without tone mark is one phone
phone_shift=0.07              # seconds by which the published times of phones are late; 0 takes them as they are

. utils/parse_options.sh
. scripts/corpus/start.sh

find_root mboshi "${mboshi_root:-${MBOSHI:-}}"
prepare_sets "train dev test" --audio_dir "${audio_dir}" --check_content "${check_content}" --keep_tones "${keep_tones}" \
    --phone_shift "${phone_shift}"
