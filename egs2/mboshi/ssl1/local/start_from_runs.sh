#!/usr/bin/env bash
# What it is worth to start from a trained model: continue, with LoRA or without, and distil beside training from the start. Tables for RESULTS.md.
# Usage: local/start_from_runs.sh [options]      e.g.: local/start_from_runs.sh --parts continue --seeds "0 1"
# Run from egs2/mboshi/hubert1 after ./run.sh --stop_stage 5 --train_stop_iter 0, ./run.sh --stage 3 --stop_stage 4 --valid_set test,
# ./run.sh --stop_stage 1 in ../../mini_espeak/ssl1, whose sets become old_train and old_dev here, and
# ./run.sh --stage 3 --stop_stage 4 --train_set old_train --valid_set old_dev --test_sets "".
#     for dset in train dev; do utils/copy_data_dir.sh ../../mini_espeak/ssl1/data/${dset} data/old_${dset}; done
# What is done is kept: a stopped call goes on where it was.
set -euo pipefail

parts="continue distil"
seeds="0 1 2"             # of training
updates=600               # of continue
distil_updates=1000       # of each student, and of their teacher, thrice
num_threads=1             # of each training
num_workers=1             # loader processes of each
evaluate=true             # false: train only
eval_seeds="0 1 2"        # of k-means and probes
max_train_frames=50000    # that k-means and probes learn on
dumpdir=dump
source=../../mini_espeak/ssl1/models/hubert_mini
expdir=exp/start_from
python=python3

. utils/log.sh
. utils/parse_options.sh
# shellcheck source=/dev/null
. ./path.sh
[ $# -eq 0 ] || die "unexpected argument '$1': every option is written --name value; see $0 --help"

labels=exp/kmeans/iter0_mfcc_km100
config=../ssl1/conf/train_hubert_mini.yaml
for needed in "${dumpdir}"/{train,dev,test,old_train,old_dev}/index "${labels}/labels/train/labels.json"; do
    [ -e "${needed}" ] || die "${needed} is missing: see the head of $0 for what runs before"
done

# run_once <folder> <what> <command...>: its output in <folder>/log.txt; skipped where <folder>/finished is there.
run_once() {
    local exp=$1 what=$2
    shift 2
    [ ! -e "${exp}/finished" ] || return 0
    log "${what}; log in ${exp}/log.txt"
    mkdir -p "${exp}"
    "$@" >> "${exp}/log.txt" 2>&1 || die "$(tail -n 1 "${exp}/log.txt") (${exp}/log.txt)"
    touch "${exp}/finished"
}

# train <row> <seed> <updates> <config> <labels> <options...>: on Mboshi's train, into expdir/<row>_seed<seed>.
train() {
    local exp=${expdir}/$1_seed$2 number=$3 file=$4 of=()
    [ -z "$5" ] || of=(--train_labels "$5/train" --valid_labels "$5/dev")
    local what="$1, seed $2: $3 updates" seed=$2
    shift 5
    run_once "${exp}" "${what}" "${python}" -m espnet2.bin.ssl_train --config "${file}" --train_sets "${dumpdir}/train" \
        --valid_sets "${dumpdir}/dev" ${of[@]+"${of[@]}"} --output_dir "${exp}" --seed "${seed}" \
        --max_update "${number}" --valid_interval_updates "$((number / 2))" --num_threads "${num_threads}" \
        --num_workers "${num_workers}" "$@"
}

# evaluate_rows <name> <rows...>: all of their seeds on test, into expdir/eval_<name>.
evaluate_rows() {
    local name=$1 beside=() model
    shift
    for row in "$@"; do
        for model in "${expdir}/${row}"_seed*/finished; do
            model=$(dirname "${model}")
            beside+=("$(basename "${model}")=${model}")
        done
    done
    "${python}" -m espnet2.bin.ssl_evaluate --train_set "${dumpdir}/train" --valid_set "${dumpdir}/test" \
        --max_train_frames "${max_train_frames}" --seeds "${eval_seeds}" --parts "units probes" \
        --output "${expdir}/eval_${name}" --beside "${beside[@]:1}" -- "${beside[0]#*=}" > /dev/null
}

run_continue() {
    local replay old
    # Old and new domain have the same clusters, so that the loss of the old one says something, and it can be heard again.
    for dset in old_train old_dev; do
        scripts/km/dump_labels.sh --nj 1 --python "${python}" "${labels}" "${dumpdir}/${dset}" >&2
    done
    old=(--old_sets "${dumpdir}/old_dev" --old_labels "${labels}/labels/old_dev")
    replay=(--train_sets "${dumpdir}/train ${dumpdir}/old_train" --sampling.alpha 0
        --train_labels "${labels}/labels/train ${labels}/labels/old_train")
    for seed in ${seeds}; do
        train scratch "${seed}" "${updates}" "${config}" "${labels}/labels" "${old[@]}"
        train continue "${seed}" "${updates}" "${config}" "${labels}/labels" "${old[@]}" --init_from "${source}"
        train continue_decay "${seed}" "${updates}" "${config}" "${labels}/labels" "${old[@]}" --init_from "${source}" \
            --optim_conf lr=3e-4 layer_decay=0.5
        train continue_replay "${seed}" "${updates}" "${config}" "${labels}/labels" "${old[@]}" --init_from "${source}" "${replay[@]}"
        train continue_lora "${seed}" "${updates}" "${config}" "${labels}/labels" "${old[@]}" --init_from "${source}" \
            --adapt lora --optim_conf lr=5e-3
    done
    [ "${evaluate}" = false ] ||
        evaluate_rows continue scratch continue continue_decay continue_replay continue_lora
}

run_distil() {
    local teacher kmeans of_teacher one_layer=(--encoder_conf num_layers=1)
    for seed in ${seeds}; do
        train teacher "${seed}" "$((3 * distil_updates))" "${config}" "${labels}/labels"
        teacher=${expdir}/teacher_seed${seed}
        kmeans=${expdir}/kmeans_teacher_seed${seed}
        scripts/km/learn_kmeans.sh --feature espnet_hubert --layer 1 --model "${teacher}" --num_clusters 100 --portion 0.5 \
            --seed "${seed}" --nj 1 --python "${python}" "${dumpdir}/train" "${kmeans}" >&2
        for dset in train dev; do
            scripts/km/dump_labels.sh --nj 1 --python "${python}" "${kmeans}" "${dumpdir}/${dset}" >&2
        done
        of_teacher=(--loss.distilhubert.conf.teacher "${teacher}" --optim_conf lr=5e-4)
        train student_mfcc "${seed}" "${distil_updates}" "${config}" "${labels}/labels" "${one_layer[@]}"
        train student_dicehubert "${seed}" "${distil_updates}" "${config}" "${kmeans}/labels" "${one_layer[@]}"
        train student_distilhubert "${seed}" "${distil_updates}" ../../TEMPLATE/ssl1/conf/train_distilhubert_mini.yaml "" "${of_teacher[@]}"
    done
    [ "${evaluate}" = false ] || evaluate_rows distil teacher student_mfcc student_dicehubert student_distilhubert
}

for part in ${parts}; do
    case "${part}" in
        continue | distil) "run_${part}" ;;
        *) die "--parts: unknown '${part}'; known are continue and distil" ;;
    esac
done
[ "${evaluate}" = false ] || "${python}" local/table_of_starts.py "${expdir}" --results RESULTS.md
