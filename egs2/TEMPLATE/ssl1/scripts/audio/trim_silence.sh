#!/usr/bin/env bash
# A data directory -> its segments, without the silence at both ends of each recording; then fix_data_dir.sh.
# Usage: $0 [options] <data-dir> <log-dir>     e.g.: $0 --fs 24000 data/train data/train/log
set -euo pipefail

fs=16000            # sample rate in which the lengths count, Hz
win_length=1024     # samples of a frame
shift_length=256    # samples from frame to frame
threshold=35        # decibels below the loudest frame: quieter is silence
min_silence=0.01    # seconds of silence that stay
normalize=16        # for ESPnet's sake: without effect
cmd=run.pl          # how jobs are started
nj=32               # jobs at once; never more than recordings

. utils/parse_options.sh
. scripts/common/jobs.sh
. ./path.sh
[ $# -eq 2 ] || { echo "Usage: $0 [options] <data-dir> <log-dir>     (--help lists the options)" >&2; exit 1; }
data=$1
logs=$2
[ -f "${data}/wav.scp" ] || { echo "$0: error: no such file ${data}/wav.scp" >&2; exit 1; }

mkdir -p "${logs}"
parts=$(mktemp -d "${logs}/trim.XXXXXX")
trap 'rm -rf "${parts}"' EXIT
count=$(wc -l < "${data}/wav.scp")
[ "${nj}" -le "${count}" ] || nj=${count}
for ((job = 1; job <= nj; job++)); do
    utils/split_scp.pl -j "${nj}" "${job}" --one-based "${data}/wav.scp" "${parts}/wav.${job}.scp"
done
literal pyscripts/audio/trim_silence.py --fs "${fs}" --win_length "${win_length}" --shift_length "${shift_length}" \
    --threshold "${threshold}" --min_silence "${min_silence}" --normalize "${normalize}" \
    "scp:${parts}/wav.JOB.scp" "${parts}/segments.JOB"
# shellcheck disable=SC2086
${cmd} JOB=1:"${nj}" "${logs}/trim_silence.JOB.log" "${literal_words[@]}"
for ((job = 1; job <= nj; job++)); do cat "${parts}/segments.${job}"; done > "${parts}/segments"
mv "${parts}/segments" "${data}/segments"
utils/fix_data_dir.sh "${data}"
