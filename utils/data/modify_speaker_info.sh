#!/usr/bin/env bash
# A data directory -> a copy whose speakers are cut into several with little speech each, for normalisation by speaker.
# Usage: $0 [options] <srcdir> <destdir>     e.g.: $0 --seconds-per-spk-max 180 data/train data/train_max180

set -euo pipefail

utts_per_spk_max=-1         # utterances of a speaker; -1: any number
seconds_per_spk_max=-1      # seconds of a speaker; -1: any
respect_speaker_info=true   # false: a new speaker may hold utterances of several

. "$(dirname "$0")/../parse_options.sh"
utils=$(dirname "$0")/..

[ $# -eq 2 ] || { echo "Usage: $0 [options] <srcdir> <destdir>     (--help lists the options)" >&2; exit 1; }

"${utils}/python.sh" -SE "${utils}/datadir" speaker_groups "$1" "$2" \
    "${utts_per_spk_max}" "${seconds_per_spk_max}" "${respect_speaker_info}"
options=()
[ -f "$1/feats.scp" ] || options+=(--no-feats)
[ -f "$1/text" ] || options+=(--no-text)
[ -f "$1/wav.scp" ] || options+=(--no-wav)
"${utils}/validate_data_dir.sh" "${options[@]+"${options[@]}"}" "$2"
