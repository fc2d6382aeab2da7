#!/usr/bin/env bash
# Nothing in, data/train and data/dev out: synthetic English speech of invented voices, with exact phone times.
#
# Usage: $0 [options]        e.g.: $0 --nj 8
set -euo pipefail

nj=4                          # processes at a time; the audio is the same for any number
num_speakers=42               # voices in all
num_dev_speakers=6            # how many of them, the last ones, are held out as data/dev
utterances_per_speaker=16
audio_dir=data/audio          # where the 16 kHz audio goes, one folder per speaker
smoke=false                   # true: 16 + 8 utterances of 4 + 2 voices as data/{train,dev}_smoke, for tests

. utils/parse_options.sh
. scripts/corpus/start.sh

suffix=
if [ "${smoke}" = true ]; then
    num_speakers=6
    num_dev_speakers=2
    utterances_per_speaker=4
    audio_dir="${audio_dir}_smoke"
    suffix=_smoke
fi

new=data/.new${suffix}
rm -rf "${new}"
python3 local/synthesise.py --output_dir "${new}" --audio_dir "${audio_dir}" --nj "${nj}" \
    --num_speakers "${num_speakers}" --num_dev_speakers "${num_dev_speakers}" \
    --utterances_per_speaker "${utterances_per_speaker}"
scripts/corpus/publish_sets.sh --suffix "${suffix}" "${new}" train dev
