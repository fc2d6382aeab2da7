#!/usr/bin/env bash
# Five microphones, a file each; simulated mixtures by a Python program: CHiME's kind. For tests only.
set -euo pipefail

. ./path.sh
. ./db.sh
. utils/parse_options.sh

audio_dir=${CHIME4}/data/audio/16kHz/isolated
mkdir -p data/local
# shellcheck disable=SC2043
for x in tr05_real; do
    find ${audio_dir} -name '*.CH1.wav' | sort | awk -F'[/.]' '{print $(NF-2)}' > data/local/${x}.ids
    for ch in 1 2 3 4 5; do
        awk -v dir=${audio_dir} -v ch=${ch} '{print $1, dir "/" $1 ".CH" ch ".wav"}' data/local/${x}.ids > data/local/${x}_wav.CH${ch}.scp
    done
    dir=data/${x}_multich
    mkdir -p ${dir}
    mix-mono-wav-scp.py data/local/${x}_wav.CH{1,3,4,5}.scp > ${dir}/wav.scp
    awk '{split($1, lst, "_"); print $1, lst[1]}' ${dir}/wav.scp > ${dir}/utt2spk
    utils/utt2spk_to_spk2utt.pl < ${dir}/utt2spk > ${dir}/spk2utt
    utils/validate_data_dir.sh --no-feats --no-text ${dir}
done
python3 local/prepare_simulated.py ${CHIME4}/data/annotations/simulated.json data
utils/utt2spk_to_spk2utt.pl data/dt05_simu/utt2spk > data/dt05_simu/spk2utt
utils/validate_data_dir.sh --no-feats --no-text data/dt05_simu
