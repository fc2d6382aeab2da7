#!/usr/bin/env bash
# Stage 3: real audio at one rate, mono, without pipes; lengths, means and variances; rejected.tsv.
# Usage: $0 [options] <data-dir> <output-dir>
# e.g.:  $0 --nj 8 --cmd "utils/run.pl" --fs 16k --audio_format flac data/train dump/org/train
# Run from the recipe directory. Finished jobs and finished sets are not done again while the input stays the same.
#
# ESPnet's form: $0 [options] <in-wav.scp> <out-datadir> [<logdir> [<outdir>]] makes <out-datadir>/wav.scp and
# utt2num_samples of one table; the audio lies in <out-datadir>/data or <outdir>.
set -euo pipefail

nj=4                      # jobs at once; the output is the same for any number
cmd=utils/run.pl          # how a job is started
fs=16k                    # sample rate of the output, Hz or kHz
audio_format=flac         # wav, flac, wav.ark or flac.ark; as_is writes nothing and reads the audio where it lies
max_rejected_ratio=0.01   # a larger share of unusable utterances stops the stage
channel=                  # which channel of several to take, from 0; empty: the first
truncation_tolerance=0.1  # seconds of what a header says that may be missing
keep_truncated=false      # true: take what is there of audio that lacks more
float_full_scale=1        # full scale in files of floats: 32768 where they have the range of 16 bits
max_clipped_ratio=0.05    # an utterance with a larger share of samples beyond full scale is rejected
check_audio=sample        # of as_is: sample decodes some utterances, full decodes all
python=python3
# Options of ESPnet's form only.
segments=                    # the utterances of the recordings
multi_columns_input=false    # true: a file for each channel in a line; the first, or that of --ref_channels, is taken
multi_columns_output=false   # without effect: the output is mono
out_filename=wav.scp         # name of the new table
ref_channels=                # one channel, from 0
utt2ref_channels=            # refused: not here
vad_based_trim=              # refused: not here
suffix=                      # without effect
write_utt2num_samples=true   # without effect: always written
audio_subtype=               # without effect: 16 bits

. utils/log.sh
. utils/parse_options.sh
. scripts/common/jobs.sh
kept=(--truncation_tolerance "${truncation_tolerance}" --keep_truncated "${keep_truncated}"
    --float_full_scale "${float_full_scale}" --max_clipped_ratio "${max_clipped_ratio}" --check_audio "${check_audio}")
if [ $# -ge 2 ] && [ -f "$1" ]; then
    [ -z "${utt2ref_channels}${vad_based_trim}" ] || die "--utt2ref_channels and --vad_based_trim are not here"
    : "${multi_columns_output} ${suffix} ${write_utt2num_samples} ${audio_subtype}"
    if [ "${fs}" = none ]; then fs=16k; fi
    exec scripts/audio/format_one_wav_scp.sh --nj "${nj}" --cmd "${cmd}" --fs "${fs}" --audio_format "${audio_format}" \
        --max_rejected_ratio "${max_rejected_ratio}" --channel "${ref_channels:-${channel}}" --python "${python}" \
        "${kept[@]}" --segments "${segments}" --multi_columns_input "${multi_columns_input}" --out_filename "${out_filename}" "$@"
fi
[ $# -eq 2 ] || die "expected <data-dir> <output-dir>, got $# arguments (--help explains)"
data_dir=$1 output_dir=$2
[ -d "${data_dir}" ] || die "${data_dir}: no such directory; run stage 1 for this set"

options=(--fs "${fs}" --audio_format "${audio_format}" "${kept[@]}")
[ -z "${channel}" ] || options+=(--channel "${channel}")

num_jobs=$("${python}" -m espnet2.bin.ssl_format_audio --prepare --num_jobs "${nj}" "${options[@]}" \
    "${data_dir}" "${output_dir}")
if [ "${num_jobs}" -eq 0 ]; then
    log "${output_dir} is up to date"
else
    literal "${python}" -m espnet2.bin.ssl_format_audio --job JOB --num_jobs "${num_jobs}" "${data_dir}" "${output_dir}"
    # ${cmd} holds a program and its options: it has to be split.
    # shellcheck disable=SC2086
    watched "${output_dir}/logs/format_wav_scp.JOB.log" \
        ${cmd} JOB=1:"${num_jobs}" "${output_dir}/logs/format_wav_scp.JOB.log" "${literal_words[@]}"
fi
"${python}" -m espnet2.bin.ssl_merge_format --num_jobs "${num_jobs}" "${options[@]}" \
    --max_rejected_ratio "${max_rejected_ratio}" "${data_dir}" "${output_dir}"
