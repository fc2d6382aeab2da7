#!/usr/bin/env bash
# Formatted training sets in, a k-means folder (centroids, token list, card) out; one that is there already is kept.
# Usage: scripts/km/learn_kmeans.sh --feature mfcc --num_clusters 100 "dump/train [dump/more]" exp/kmeans/iter0_mfcc_km100
set -euo pipefail

feature=mfcc              # mfcc, or espnet_hubert: a layer of --model.
layer=0                   # Layer of the model, from 1; 1+2+3 joins several; mfcc has none.
model=                    # exp/<name>: the teacher.
normalize=none            # Taken from the features: none, utterance-mean, speaker-mean, or either with -variance.
pca_dim=0                 # Principal components that are kept; 0: no PCA.
whiten_dim=0              # The same, each scaled to variance 1; 0: no whitening.
smooth_frames=1           # Moving mean over so many frames, an odd number.
portion=1.0               # Share of the training utterances that k-means sees.
max_frames=2000000        # Most frames to keep of these.
num_clusters=100          # Units.
seed=0                    # Of the sample and of k-means.
nj=4                      # Parallel jobs.
gpu_dump_feature=false    # Compute the features of a model, and cluster, on a GPU.
nj_gpu=1                  # Parallel jobs with --gpu_dump_feature true: one for each GPU.
keep_features=false       # Keep the sampled features; they are large.
cmd=run.pl                # How jobs are started.
python=python3            # The interpreter with the toolkit's packages.

. utils/log.sh
. utils/parse_options.sh
. scripts/common/jobs.sh
[ $# -eq 2 ] || die "Usage: $0 [options] \"<dump set> [<dump set>...]\" <k-means dir>"
dump_sets=$1
kmeans=$2

sample=(--dump_sets "${dump_sets}" --feature "${feature}" --layer "${layer}" --model "${model}" --portion "${portion}"
    --normalize "${normalize}" --pca_dim "${pca_dim}" --whiten_dim "${whiten_dim}" --smooth_frames "${smooth_frames}"
    --max_frames "${max_frames}" --seed "${seed}")
status=0
"${python}" -m espnet2.bin.ssl_learn_kmeans "${sample[@]}" --num_clusters "${num_clusters}" --check "${kmeans}" || status=$?
case ${status} in
    0)    # a call that was killed before its end may have left the features, which are large
        "${keep_features}" || rm -rf "${kmeans}/features"
        exit 0 ;;
    3) ;;  # not there yet
    *) exit "${status}" ;;
esac

device=cpu
gpu=()
if "${gpu_dump_feature}" && [ "${feature}" != mfcc ]; then    # MFCC are computed on the CPU
    device=cuda
    gpu=(--gpu 1)
    nj=${nj_gpu}
fi
read -ra sets <<< "${dump_sets}"
nj=$(fewer_jobs "${nj}" "${sets[@]}")
if [ "${nj}" -gt 1 ]; then export OMP_NUM_THREADS=1; else unset OMP_NUM_THREADS; fi    # several jobs share the cores
log "sample of ${feature} features: ${nj} jobs, logs in ${kmeans}/log"
literal "${python}" -m espnet2.bin.ssl_sample_features "${sample[@]}" --job JOB --num_jobs "${nj}" \
    --device "${device}" --output_dir "${kmeans}/features"
# shellcheck disable=SC2086
watched "${kmeans}/log/dump_features.JOB.log" \
    ${cmd} ${gpu[@]+"${gpu[@]}"} JOB=1:"${nj}" "${kmeans}/log/dump_features.JOB.log" "${literal_words[@]}"
unset OMP_NUM_THREADS    # one job now: all cores
log "${num_clusters} clusters: log in ${kmeans}/log/learn_kmeans.log"
literal "${python}" -m espnet2.bin.ssl_learn_kmeans "${sample[@]}" --num_clusters "${num_clusters}" \
    --num_jobs "${nj}" --device "${device}" --features_dir "${kmeans}/features" "${kmeans}"
# shellcheck disable=SC2086
watched "${kmeans}/log/learn_kmeans.log" \
    ${cmd} ${gpu[@]+"${gpu[@]}"} "${kmeans}/log/learn_kmeans.log" "${literal_words[@]}"
"${keep_features}" || rm -rf "${kmeans}/features"
log "$(grep -a "inertia .* per frame" "${kmeans}/log/learn_kmeans.log" | tail -n 1)"
