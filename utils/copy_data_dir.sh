#!/usr/bin/env bash
# A data directory -> a validated copy, with a prefix or suffix on utterance and speaker ids; recording ids stay.
# Usage: $0 [options] <srcdir> <destdir>     e.g.: $0 --spk-prefix 1- --utt-prefix 1- data/train data/train_1

set -euo pipefail

spk_prefix=      # before speaker ids
utt_prefix=      # before utterance ids
spk_suffix=      # after speaker ids
utt_suffix=      # after utterance ids
validate_opts=   # more options of validate_data_dir.sh

. "$(dirname "$0")/parse_options.sh"
utils=$(dirname "$0")

[ $# -eq 2 ] || { echo "Usage: $0 [options] <srcdir> <destdir>     (--help lists the options)" >&2; exit 1; }

"${utils}/python.sh" -SE "${utils}/datadir" copy_dir "$1" "$2" \
    "${utt_prefix}" "${utt_suffix}" "${spk_prefix}" "${spk_suffix}"

read -ra options <<< "${validate_opts}"
[ -f "$1/feats.scp" ] || options+=(--no-feats)
[ -f "$1/text" ] || options+=(--no-text)
[ -f "$1/wav.scp" ] || options+=(--no-wav)
"${utils}/validate_data_dir.sh" "${options[@]+"${options[@]}"}" "$2"
