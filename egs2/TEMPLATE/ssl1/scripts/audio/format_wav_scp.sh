#!/usr/bin/env bash
# Stage 3: real audio at one rate, mono, without pipes; lengths, means and variances; rejected.tsv.
# Usage: $0 [options] <data-dir> <output-dir>
# e.g.:  $0 --nj 8 --cmd "utils/run.pl" --fs 16k --audio_format flac data/train dump/org/train
# Run from the recipe directory. Finished jobs and finished sets are not done again while the input stays the same.
set -euo pipefail

nj=4                      # jobs at once; the output is the same for any number
cmd=utils/run.pl          # how a job is started
fs=16k                    # sample rate of the output, Hz or kHz
audio_format=flac         # wav, flac, wav.ark or flac.ark
max_rejected_ratio=0.01   # a larger share of unusable utterances stops the stage
channel=                  # which channel of several to take, from 0; empty: the first
python=python3

. utils/log.sh
. utils/parse_options.sh
. scripts/common/jobs.sh
[ $# -eq 2 ] || die "expected <data-dir> <output-dir>, got $# arguments (--help explains)"
data_dir=$1 output_dir=$2
[ -d "${data_dir}" ] || die "${data_dir}: no such directory; run stage 1 for this set"

options=(--fs "${fs}" --audio_format "${audio_format}")
[ -z "${channel}" ] || options+=(--channel "${channel}")

num_jobs=$("${python}" -m espnet2.bin.ssl_format_audio --prepare --num_jobs "${nj}" "${options[@]}" \
    "${data_dir}" "${output_dir}")
if [ "${num_jobs}" -eq 0 ]; then
    log "${output_dir} is up to date"
else
    # ${cmd} holds a program and its options: it has to be split.
    # shellcheck disable=SC2086
    watched "${output_dir}/logs/format_wav_scp.JOB.log" \
        ${cmd} JOB=1:"${num_jobs}" "${output_dir}/logs/format_wav_scp.JOB.log" \
        "${python}" -m espnet2.bin.ssl_format_audio --job JOB --num_jobs "${num_jobs}" "${data_dir}" "${output_dir}"
fi
"${python}" -m espnet2.bin.ssl_merge_format --num_jobs "${num_jobs}" "${options[@]}" \
    --max_rejected_ratio "${max_rejected_ratio}" "${data_dir}" "${output_dir}"
