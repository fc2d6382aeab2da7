#!/usr/bin/env bash
# The runs of RESULTS.md: one training for each row and seed, then one evaluation of all that are done, and their table.
# Usage: local/runs.sh [options]      e.g.: local/runs.sh --rows "iter0 iter1" --seeds "0 1"
# Run from egs2/mboshi/hubert1 after ./run.sh --stop_stage 5 --train_stop_iter 0 and, for the unseen speaker,
# ./run.sh --stage 3 --stop_stage 4 --valid_set test. What is done is kept: a stopped call goes on where it was, and
# calls for other rows or seeds may run beside each other with --evaluate false.
set -euo pipefail

rows="iter0 iter0_double iter1 iter1_km100 iter2 online"
seeds="0 1 2"             # of training; k-means of a model's layers has the same
updates=1900              # of an iteration; iter0_double and online have twice as many
num_threads=1             # of each training
num_workers=1             # loader processes of each
evaluate=true             # false: train only
parts="units abx probes"  # of the evaluation
eval_seeds="0 1 2"        # of its k-means and probes
max_train_frames=100000   # that its k-means and probes learn on
dumpdir=dump
expdir=exp
python=python3
overrides=                # of every training's config

. utils/log.sh
. utils/parse_options.sh
# shellcheck source=/dev/null
. ./path.sh
[ $# -eq 0 ] || die "unexpected argument '$1': every option is written --name value; see $0 --help"

mfcc_labels=${expdir}/kmeans/iter0_mfcc_km100/labels
for dset in train dev; do
    [ -e "${mfcc_labels}/${dset}/labels.json" ] ||
        die "${mfcc_labels}/${dset} is missing: ./run.sh --stop_stage 5 --train_stop_iter 0 --dumpdir ${dumpdir} --expdir ${expdir}"
done

# train <row> <seed> <config> <labels> <updates>: expdir/runs/<row>_seed<seed>.
train() {
    local exp=${expdir}/runs/$1_seed$2
    [ ! -e "${exp}/train.done" ] || return 0
    log "$1, seed $2: $5 updates on ${4#"${expdir}/"}; log in ${exp}/log.txt"
    mkdir -p "${exp}"
    # shellcheck disable=SC2086
    "${python}" -m espnet2.bin.ssl_train --config "../ssl1/conf/train_$3_mini.yaml" --train_sets "${dumpdir}/train" \
        --valid_sets "${dumpdir}/dev" --train_labels "$4/train" --valid_labels "$4/dev" --output_dir "${exp}" \
        --seed "$2" --max_update "$5" --num_threads "${num_threads}" --num_workers "${num_workers}" ${overrides} \
        >> "${exp}/log.txt" 2>&1 || die "$(tail -n 1 "${exp}/log.txt") (${exp}/log.txt)"
    [ -e "${exp}/train.done" ] || die "${exp}: the training did not end; the same command goes on with it"
}

# labels_of <row of the model> <seed> <clusters>: clusters of its three layers joined, whitened and smoothed.
labels_of() {
    local model=${expdir}/runs/$1_seed$2 kmeans=${expdir}/kmeans/runs_$1_seed$2_l1+2+3_km$3
    [ -e "${model}/train.done" ] || die "${model} is not trained: local/runs.sh --rows $1 --seeds $2"
    scripts/km/learn_kmeans.sh --feature espnet_hubert --layer 1+2+3 --whiten_dim 64 --smooth_frames 3 --model "${model}" \
        --num_clusters "$3" --portion 0.5 --seed "$2" --nj 1 --python "${python}" "${dumpdir}/train" "${kmeans}" >&2
    for dset in train dev; do
        scripts/km/dump_labels.sh --nj 1 --python "${python}" "${kmeans}" "${dumpdir}/${dset}" >&2
    done
    echo "${kmeans}/labels"
}

for seed in ${seeds}; do
    for row in ${rows}; do
        case "${row}" in
            iter0) train "${row}" "${seed}" hubert "${mfcc_labels}" "${updates}" ;;
            iter0_double) train "${row}" "${seed}" hubert "${mfcc_labels}" "$((2 * updates))" ;;
            iter1) labels=$(labels_of iter0 "${seed}" 500); train "${row}" "${seed}" hubert "${labels}" "${updates}" ;;
            iter1_km100) labels=$(labels_of iter0 "${seed}" 100); train "${row}" "${seed}" hubert "${labels}" "${updates}" ;;
            iter2) labels=$(labels_of iter1 "${seed}" 500); train "${row}" "${seed}" hubert "${labels}" "${updates}" ;;
            online) train "${row}" "${seed}" online_hubert "${mfcc_labels}" "$((2 * updates))" ;;
            *) die "--rows: unknown '${row}'; known are iter0, iter0_double, iter1, iter1_km100, iter2 and online" ;;
        esac
    done
done
[ "${evaluate}" = true ] || exit 0

models=()
for done_file in "${expdir}"/runs/*_seed*/train.done; do models+=("$(dirname "${done_file}")"); done
beside=()
for model in "${models[@]:1}"; do beside+=("$(basename "${model}")=${model}"); done
log "${#models[@]} models on ${dumpdir}/test: ${expdir}/runs/eval"
"${python}" -m espnet2.bin.ssl_evaluate --train_set "${dumpdir}/train" --valid_set "${dumpdir}/test" \
    --max_train_frames "${max_train_frames}" --seeds "${eval_seeds}" --parts "${parts}" --output "${expdir}/runs" \
    ${beside[@]+--beside "${beside[@]}"} -- "${models[0]}" > /dev/null
"${python}" local/table_of_runs.py "${expdir}/runs/eval" --results RESULTS.md
