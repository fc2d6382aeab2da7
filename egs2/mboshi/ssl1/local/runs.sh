#!/usr/bin/env bash
# The runs of RESULTS.md: one training for each row and seed, then one evaluation of all that are done, and their table.
# Usage: local/runs.sh [options]      e.g.: local/runs.sh --rows "iter0 iter1" --seeds "0 1"
# Rows: iter0, iter0_double, iter1, iter1_km100, iter1_layer1, iter2: HuBERT and its iterations. iter0_warm, iter1_warm: on
# the labels of iter0 or of iter1, from the weights of iter0. hubert_mean, hubert_speaker, hubert_smooth, hubert_km500,
# hubert_masks, hubert_speed, hubert_long: iter0_double with one thing changed.
# hubert_of_data2vec2: labels are clusters of data2vec2 of the same seed. data2vec2_long, dinosr_fixed, dinosr_moving,
# w2v_bert_paper: an objective with one thing changed. Any other: the objective of conf/train_<row>_mini.yaml, or of
# conf/train_<row>.yaml, for as long as iter0_double takes by the trial that calibration.json keeps; time it on a quiet machine.
# Run from egs2/mboshi/hubert1 after ./run.sh --stop_stage 5 --train_stop_iter 0 and, for the unseen speaker,
# ./run.sh --stage 3 --stop_stage 4 --valid_set test. What is done is kept: a stopped call goes on where it was, and
# calls for other rows or seeds may run beside each other with --evaluate false.
# Models trained on several sets (--train_set) are evaluated on Mboshi, too; --eval_valid_set names another corpus.
set -euo pipefail

rows="iter0 iter0_double iter1 iter1_km100 iter2 online"
seeds="0 1 2"             # of training; k-means of a model's layers has the same
train_set=train           # of the trainings and their labels; several: "train debian_voices"
updates=1125              # of an iteration; iter0_double, online and the changed ones have twice as many
minutes=3.2               # of one core, for an objective: what 2,250 updates of HuBERT took where RESULTS.md was measured
num_threads=1             # of each training
num_workers=1             # loader processes of each
evaluate=true             # false: train only
parts="units abx probes"  # of the evaluation
eval_seeds="0 1 2"        # of its k-means and probes
max_train_frames=100000   # that its k-means and probes learn on
eval_train_set=           # dump/<set> of those; empty: dumpdir/train
eval_valid_set=           # dump/<set> that the figures come from; empty: dumpdir/test
mark=runs                 # of the table in RESULTS.md; the evaluation is expdir/<mark>/eval
mfcc_kmeans=iter0_mfcc_km100    # whose labels iteration 0 has: folder of expdir/kmeans
dumpdir=dump
expdir=exp
python=python3
overrides=                # of every training's config

. utils/log.sh
. utils/parse_options.sh
. scripts/common/checks.sh     # paths
. scripts/common/configs.sh
# shellcheck source=/dev/null
. ./path.sh
[ $# -eq 0 ] || die "unexpected argument '$1': every option is written --name value; see $0 --help"

mfcc_labels=${expdir}/kmeans/${mfcc_kmeans}/labels
for dset in ${train_set} dev; do
    [ -e "${mfcc_labels}/${dset}/labels.json" ] ||
        die "${mfcc_labels}/${dset} is missing: ./run.sh --stop_stage 5 --train_stop_iter 0 --train_set \"${train_set}\" --dumpdir ${dumpdir} --expdir ${expdir}"
done

. local/runs_functions.sh

hubert=$(find_config ../ssl1/conf/train_hubert_mini.yaml)
double=$((2 * updates))
for seed in ${seeds}; do
    for row in ${rows}; do
        labels=${mfcc_labels}
        changes=()
        case "${row}" in
            iter0) train "${row}" "${seed}" "${hubert}" "${labels}" "${updates}" ;;
            iter0_double) train "${row}" "${seed}" "${hubert}" "${labels}" "${double}" ;;
            iter1) labels=$(labels_of iter0 "${seed}" 500); train "${row}" "${seed}" "${hubert}" "${labels}" "${updates}" ;;
            iter0_warm) train "${row}" "${seed}" "${hubert}" "${labels}" "${updates}" --init_from "${expdir}/runs/iter0_seed${seed}" ;;
            iter1_warm)
                labels=$(labels_of iter0 "${seed}" 500)
                train "${row}" "${seed}" "${hubert}" "${labels}" "${updates}" --init_from "${expdir}/runs/iter0_seed${seed}" ;;
            iter1_km100) labels=$(labels_of iter0 "${seed}" 100); train "${row}" "${seed}" "${hubert}" "${labels}" "${updates}" ;;
            iter1_layer1) labels=$(labels_of iter0 "${seed}" 500 1); train "${row}" "${seed}" "${hubert}" "${labels}" "${updates}" ;;
            hubert_of_data2vec2)
                labels=$(labels_of data2vec2 "${seed}" 500); train "${row}" "${seed}" "${hubert}" "${labels}" "${updates}" ;;
            iter2) labels=$(labels_of iter1 "${seed}" 500); train "${row}" "${seed}" "${hubert}" "${labels}" "${updates}" ;;
            online) train "${row}" "${seed}" "$(find_config ../ssl1/conf/train_online_hubert_mini.yaml)" "${labels}" "${double}" ;;
            hubert_long) train "${row}" "${seed}" "${hubert}" "${labels}" "$((2 * double))" ;;
            hubert_mean | hubert_speaker | hubert_smooth | hubert_km500 | hubert_masks | hubert_speed)
                case "${row}" in
                    hubert_mean) labels=$(mfcc_labels_of mean 100 --normalize utterance-mean) ;;
                    hubert_speaker) labels=$(mfcc_labels_of speaker 100 --normalize speaker-mean-variance) ;;
                    hubert_smooth) labels=$(mfcc_labels_of smooth 100 --smooth_frames 5) ;;
                    hubert_km500) labels=$(mfcc_labels_of plain 500) ;;
                    hubert_masks) changes=(--loss hubert.conf.mask_prob=0.8 --loss hubert.conf.mask_span=10) ;;    # the paper's
                    hubert_speed) changes=(--augment "speed.factors=[0.9,1.0,1.1]") ;;
                esac
                train "${row}" "${seed}" "${hubert}" "${labels}" "${double}" ${changes[@]+"${changes[@]}"} ;;
            data2vec2_long)
                last=$(updates_of data2vec2); train_objective "${row}" "${seed}" data2vec2 "$((2 * last))" ;;
            dinosr_fixed | dinosr_moving)
                case "${row}" in
                    dinosr_fixed) changes=(--loss dinosr.conf.teacher_fixed=1.0) ;;
                    dinosr_moving) changes=(--loss dinosr.conf.decay_start=0.99 --loss dinosr.conf.decay_end=0.999) ;;
                esac
                last=$(updates_of dinosr); train_objective "${row}" "${seed}" dinosr "${last}" "${changes[@]}" ;;
            w2v_bert_paper)
                last=$(updates_of w2v_bert)
                train_objective "${row}" "${seed}" w2v_bert "${last}" --loss w2v_bert.conf.diversity_weight=0.1 ;;
            hubert_fast | hubert_mini_conv)
                changes=(--allow_rate_reduction true)    # MFCC labels have 100 a second, frames of 40 ms take one of four
                [ "${row}" = hubert_fast ] || changes=(--optim_conf.lr 5e-4)    # as the other configs of HuBERT have
                last=$(updates_of "${row}" "${changes[@]}")
                train_objective "${row}" "${seed}" "${row}" "${last}" "${changes[@]}" ;;
            *) last=$(updates_of "${row}"); train_objective "${row}" "${seed}" "${row}" "${last}" ;;
        esac
    done
done
[ "${evaluate}" = true ] || exit 0

models=()
for done_file in "${expdir}"/runs/*_seed*/train.done; do models+=("$(dirname "${done_file}")"); done
beside=()
for model in "${models[@]:1}"; do beside+=("$(basename "${model}")=${model}"); done
valid_set=${eval_valid_set:-${dumpdir}/test}
log "${#models[@]} models on ${valid_set}: ${expdir}/${mark}/eval"
"${python}" -m espnet2.bin.ssl_evaluate --train_set "${eval_train_set:-${dumpdir}/train}" --valid_set "${valid_set}" \
    --max_train_frames "${max_train_frames}" --seeds "${eval_seeds}" --parts "${parts}" --output "${expdir}/${mark}" \
    ${beside[@]+--beside "${beside[@]}"} -- "${models[0]}" > /dev/null
"${python}" local/table_of_runs.py "${expdir}/${mark}/eval" --results RESULTS.md --mark "${mark}"
