#!/usr/bin/env bash
# segments or wav.scp (or utt2num_frames) -> utt2dur, the seconds of each utterance. Nothing is done where it is there.
# Usage: $0 [options] <data-dir>     e.g.: $0 --nj 8 data/train

set -euo pipefail

nj=4                     # array jobs
cmd=run.pl               # what runs them
frame_shift=0.01         # seconds; only where lengths come from utt2num_frames
read_entire_file=false   # true: decode everything, do not trust headers
permissive=false         # true: leave out what cannot be read, with a warning

. "$(dirname "$0")/../parse_options.sh"
here=$(dirname "$0")

[ $# -eq 1 ] || { echo "Usage: $0 [options] <data-dir>     (--help lists the options)" >&2; exit 1; }
data=$1

[ -f "${data}/utt2spk" ] || { echo "$0: no such file ${data}/utt2spk" >&2; exit 1; }
num_utterances=$(wc -l < "${data}/utt2spk")
if [ -s "${data}/utt2dur" ] && [ "${num_utterances}" -eq "$(wc -l < "${data}/utt2dur")" ]; then
    echo "$0: ${data}/utt2dur already exists with the expected length. We won't recompute it."
    exit 0
fi

if [ -f "${data}/segments" ]; then
    echo "$0: working out ${data}/utt2dur from ${data}/segments"
    "${here}/../python.sh" -E "${here}/../datadir" durations segments "${data}/segments" "${data}/utt2dur"
elif [ -f "${data}/wav.scp" ]; then
    echo "$0: segments file does not exist so getting durations from wave files"
    "${here}/read_wav_durations.sh" --nj "${nj}" --cmd "${cmd}" --read-entire-file "${read_entire_file}" \
        --permissive "${permissive}" "${data}" "${data}/utt2dur"
elif [ -f "${data}/utt2num_frames" ]; then
    echo "$0: wave file does not exist so getting durations from utt2num_frames"
    awk -v shift="${frame_shift}" '{print $1, $2 * shift}' "${data}/utt2num_frames" > "${data}/.utt2dur.$$"
    mv "${data}/.utt2dur.$$" "${data}/utt2dur"
else
    echo "$0: expected ${data}/wav.scp, ${data}/segments or ${data}/utt2num_frames to exist" >&2
    exit 1
fi

num_lengths=$(wc -l < "${data}/utt2dur")
[ "${num_lengths}" -eq "${num_utterances}" ] || echo "$0: warning: utt2dur has ${num_lengths} lines, utt2spk has ${num_utterances}" >&2
echo "$0: computed ${data}/utt2dur"
