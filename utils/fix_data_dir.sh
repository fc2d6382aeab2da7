#!/usr/bin/env bash
# A data directory -> the same directory sorted and cut down to the utterances that all its tables have.
# The old tables are kept in <data-dir>/.backup.
# Usage: $0 [options] <data-dir>     e.g.: $0 data/train

set -euo pipefail

utt_extra_files=   # more tables by utterance, e.g. "text.lower text.upper"
spk_extra_files=   # more tables by speaker

. "$(dirname "$0")/parse_options.sh"
utils=$(dirname "$0")

[ $# -eq 1 ] || { echo "Usage: $0 [--utt-extra-files '...'] [--spk-extra-files '...'] <data-dir>" >&2; exit 1; }

exec "${utils}/python.sh" -SE "${utils}/datadir" fix "$1" "${utt_extra_files}" "${spk_extra_files}"
