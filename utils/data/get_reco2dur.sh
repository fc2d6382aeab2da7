#!/usr/bin/env bash
# wav.scp -> reco2dur, the seconds of each recording. Nothing is done where it is there already.
# Usage: $0 [options] <data-dir>     e.g.: $0 --nj 8 data/train

set -euo pipefail

nj=4                     # array jobs
cmd=run.pl               # what runs them
frame_shift=0.01         # seconds; accepted for Kaldi's sake
read_entire_file=false   # true: decode everything, do not trust headers
permissive=false         # true: leave out what cannot be read, with a warning

. "$(dirname "$0")/../parse_options.sh"
here=$(dirname "$0")

[ $# -eq 1 ] || { echo "Usage: $0 [options] <data-dir>     (--help lists the options)" >&2; exit 1; }
data=$1
: "${frame_shift}"

[ -f "${data}/wav.scp" ] || { echo "$0: no such file ${data}/wav.scp" >&2; exit 1; }
if [ -s "${data}/reco2dur" ] && [ "$(wc -l < "${data}/wav.scp")" -eq "$(wc -l < "${data}/reco2dur")" ]; then
    echo "$0: ${data}/reco2dur already exists with the expected length. We won't recompute it."
    exit 0
fi

"${here}/read_wav_durations.sh" --nj "${nj}" --cmd "${cmd}" --read-entire-file "${read_entire_file}" \
    --permissive "${permissive}" "${data}" "${data}/reco2dur"
echo "$0: computed ${data}/reco2dur"
