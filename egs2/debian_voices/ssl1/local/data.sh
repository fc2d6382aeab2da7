#!/usr/bin/env bash
# Six Debian packages of spoken prompts in, data/train and data/dev out: multilingual speech with utt2lang.
#
# Usage: $0 [options]        e.g.: $0 --nj 8 --debian_voices_root /corpora/debian_voices
# Without a copy of your own (option, or DEBIAN_VOICES in db.sh) the packages are fetched into downloads/.
set -euo pipefail

debian_voices_root=           # folder into which all six packages were unpacked; "/" where they are installed
check_content=true            # false: take other versions than those the results were measured on
nj=4                          # processes at a time; the output is the same for any number
audio_dir=data/audio          # where the 16 kHz audio goes

. utils/parse_options.sh
. scripts/corpus/start.sh

find_root debian_voices "${debian_voices_root:-${DEBIAN_VOICES:-}}"
prepare_sets "train dev" --audio_dir "${audio_dir}" --nj "${nj}" --check_content "${check_content}"
