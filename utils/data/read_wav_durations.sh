#!/usr/bin/env bash
# wav.scp -> "recording seconds" lines, from the headers of the audio, in array jobs.
# Usage: $0 [options] <data-dir> <output>     e.g.: $0 --nj 8 data/train data/train/reco2dur

set -euo pipefail

nj=4                     # array jobs
cmd=run.pl               # what runs them
read_entire_file=false   # true: decode everything, do not trust headers
permissive=false         # true: leave out what cannot be read, with a warning

. "$(dirname "$0")/../parse_options.sh"
utils=$(cd "$(dirname "$0")/.." && pwd)

[ $# -eq 2 ] || { echo "Usage: $0 [options] <data-dir> <output>     (--help lists the options)" >&2; exit 1; }
data=$1
output=$2

PATH=${PATH}:${utils}    # for a plain run.pl
lines=$(wc -l < "${data}/wav.scp")
[ "${lines}" -gt 0 ] || { echo "$0: empty file ${data}/wav.scp" >&2; exit 1; }
[ "${nj}" -le "${lines}" ] || nj=${lines}
logdir=${data}/log
mkdir -p "${logdir}"
parts=$(mktemp -d "${logdir}/durations.XXXXXX")
trap 'rm -rf "${parts}"' EXIT

for ((job = 1; job <= nj; job++)); do
    "${utils}/split_scp.pl" -j "${nj}" "${job}" --one-based "${data}/wav.scp" "${parts}/wav.${job}.scp"
done

${cmd} JOB=1:"${nj}" "${logdir}/get_durations.JOB.log" \
    "${utils}/python.sh" "${utils}/datadir" durations wav \
    "${parts}/wav.JOB.scp" "${parts}/dur.JOB" "${read_entire_file}" "${permissive}"

for ((job = 1; job <= nj; job++)); do cat "${parts}/dur.${job}"; done > "${parts}/all"
mv "${parts}/all" "${output}"
