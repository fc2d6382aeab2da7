#!/usr/bin/env bash
# A k-means folder and a formatted set in, <k-means>/labels/<set>.txt and <set>/ (packed) out; finished ones are kept.
# Usage: scripts/km/dump_labels.sh --nj 4 exp/kmeans/iter0_mfcc_km100 dump/train
set -euo pipefail

nj=4                      # Parallel jobs.
gpu_dump_feature=false    # Compute the features of a model on a GPU.
nj_gpu=1                  # Parallel jobs with --gpu_dump_feature true: one for each GPU.
cmd=run.pl                # How jobs are started.
python=python3            # The interpreter with the toolkit's packages.

. utils/log.sh
. utils/parse_options.sh
. scripts/common/jobs.sh
[ $# -eq 2 ] || die "Usage: $0 [options] <k-means dir> <dump set>"
kmeans=$1
dump_set=$2
logs=${kmeans}/log/labels_$(basename "${dump_set}")

status=0
"${python}" -m espnet2.bin.ssl_kmeans_labels --check "${kmeans}" "${dump_set}" || status=$?
case ${status} in
    0) exit 0 ;;
    3) ;;  # not there yet
    *) exit "${status}" ;;
esac

device=cpu
gpu=()
if "${gpu_dump_feature}" && ! grep -q '"feature": "mfcc"' "${kmeans}/card.json"; then    # MFCC are computed on the CPU
    device=cuda
    gpu=(--gpu 1)
    nj=${nj_gpu}
fi
nj=$(fewer_jobs "${nj}" "${dump_set}")
if [ "${nj}" -gt 1 ]; then export OMP_NUM_THREADS=1; else unset OMP_NUM_THREADS; fi    # several jobs share the cores
log "units of ${dump_set}: ${nj} jobs, logs in ${logs}"
literal "${python}" -m espnet2.bin.ssl_kmeans_labels --job JOB --num_jobs "${nj}" --device "${device}" \
    "${kmeans}" "${dump_set}"
# shellcheck disable=SC2086
watched "${logs}/dump_labels.JOB.log" \
    ${cmd} ${gpu[@]+"${gpu[@]}"} JOB=1:"${nj}" "${logs}/dump_labels.JOB.log" "${literal_words[@]}"
"${python}" -m espnet2.bin.ssl_kmeans_labels --merge --num_jobs "${nj}" "${kmeans}" "${dump_set}"
