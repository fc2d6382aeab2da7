#!/usr/bin/env bash
# One wav.scp, with or without segments -> real mono audio, its wav.scp and utt2num_samples; format_wav_scp.sh calls this.
# Usage: scripts/audio/format_one_wav_scp.sh [options] <in-wav.scp> <out-datadir> [<logdir> [<outdir>]]
set -euo pipefail

nj=4                        # jobs at once
cmd=utils/run.pl            # how a job is started
fs=16k                      # sample rate of the output, Hz or kHz
audio_format=flac           # wav, flac, wav.ark, flac.ark or as_is
max_rejected_ratio=0.01     # a larger share of unusable utterances stops this
channel=                    # which channel of several to take, from 0; empty: the first
truncation_tolerance=0.1    # seconds of what a header says that may be missing
keep_truncated=false        # true: take what is there of audio that lacks more
float_full_scale=1          # full scale in files of floats
max_clipped_ratio=0.05      # an utterance with a larger share of samples beyond full scale is rejected
check_audio=sample          # of as_is: sample decodes some utterances, full decodes all
python=python3
segments=                   # the utterances of the recordings
multi_columns_input=false   # true: a file for each channel in a line
out_filename=wav.scp        # name of the new table

. utils/log.sh
. utils/parse_options.sh
[ $# -ge 2 ] && [ $# -le 4 ] || die "expected <in-wav.scp> <out-datadir> [<logdir> [<outdir>]], got $# arguments"
. ./path.sh    # ESPnet's does so, too
wav_scp=$1 data=$2 logs=${3:-$2/logs} audio=${4:-$2/data}
[ -z "${channel}" ] || [[ ${channel} =~ ^[0-9]+$ ]] || die "--ref_channels ${channel}: expected one channel, from 0"
[ -z "${segments}" ] || [ -f "${segments}" ] || die "--segments ${segments}: no such file"

# A data directory of its own, in which every utterance is its own speaker.
source=${logs}/data_dir
rm -rf "${source}"
mkdir -p "${source}"
if "${multi_columns_input}"; then
    column=$((${channel:-0} + 2))
    awk -v c="${column}" '/\|[ \t]*$/ { print; next } { print $1, $c }' "${wav_scp}" > "${source}/wav.scp"
    channel=
else
    cp "${wav_scp}" "${source}/wav.scp"
fi
if [ -n "${segments}" ]; then cp "${segments}" "${source}/segments"; fi
awk '{ print $1, $1 }' "${segments:-${source}/wav.scp}" > "${source}/utt2spk"
cp "${source}/utt2spk" "${source}/spk2utt"

scripts/audio/format_wav_scp.sh --nj "${nj}" --cmd "${cmd}" --fs "${fs}" --audio_format "${audio_format}" \
    --channel "${channel}" --max_rejected_ratio "${max_rejected_ratio}" --python "${python}" \
    --truncation_tolerance "${truncation_tolerance}" --keep_truncated "${keep_truncated}" \
    --float_full_scale "${float_full_scale}" --max_clipped_ratio "${max_clipped_ratio}" \
    --check_audio "${check_audio}" "${source}" "${audio}"
mkdir -p "${data}"
cp "${audio}/wav.scp" "${data}/${out_filename}"
cp "${audio}/utt2num_samples" "${data}/utt2num_samples"
log "wrote ${data}/${out_filename}: $(wc -l < "${data}/${out_filename}") utterances"
