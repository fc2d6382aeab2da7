#!/usr/bin/env bash
# Usage: ./hubert1.sh --train_set <set> --valid_set <set> --train_configs "<config of iteration 0> <1> ..." [options]
# HuBERT is ssl1.sh in a loop with labels in between: cluster features into units, train on them, repeat.
# --stage applies to the first iteration that runs, later ones run whole. --stop_stage below 7 ends inside that first
# iteration; at 7 or more every iteration trains, and stages 8 to 10 run once, for the last model.
set -euo pipefail

. scripts/common/supervised.sh
. scripts/common/options.sh
# --- Iterations (lists have one value per iteration, counted from 0)
train_start_iter=0        # First iteration to run.
train_stop_iter=          # Last iteration to run; empty runs as many as there are --train_configs.
train_configs=            # Training configs. Required.
n_clusters="100 500"      # Units.
features_km="mfcc espnet_hubert" # Features to cluster: mfcc, or espnet_hubert: a layer of the iteration before.
layers_km="0 6"           # Layers to cluster, 1-based; mfcc has none: write 0. 4+5+6 joins several, frame by frame.
teacher=                  # Model to cluster in iteration 0, with espnet_hubert there: exp/<name>, hf:<user>/<name>, a file.
portion_km="1.0 0.1"      # Share of the training utterances that k-means sees.
normalize_km=none         # Taken from the features: none, utterance-mean, speaker-mean, or either with -variance. One value serves all iterations.
pca_dim_km=0              # Principal components that are kept; 0: no PCA. One value serves all.
whiten_dim_km=0           # The same, each scaled to variance 1; 0: no whitening. One value serves all.
smooth_frames_km=1        # Moving mean over so many frames, an odd number; 1: none. One value serves all.
seed_km=0                 # Seed of k-means.
gpu_dump_feature=false    # Compute features to cluster on a GPU.
hubert_args=              # Overrides of every training config, such as "--max_update 1000".
hubert_tag=               # Suffix of the experiments' names.
# --- end of options

case " $* " in *" --help "* | *" -h "*)
    help_message=$(scripts/common/print_options.sh "$0" scripts/common/options.sh) ;; esac
. utils/log.sh
. utils/parse_options.sh
. scripts/common/checks.sh
. scripts/common/configs.sh
[ $# -eq 0 ] || die "unexpected argument '$1': every option is written --name value; see $0 --help"
. ./path.sh
. ./cmd.sh
check_options
espnet_stage_note
first_stage=${stage}
. scripts/km/iterations.sh    # the lists as arrays, checked; kmeans_name and experiment of an iteration
trap 'note_stage end "exit status $?"' EXIT

# run_ssl <first> <last> [options]: the stages of ssl1.sh that lie in both ranges, with every option both scripts have.
run_ssl() {
    local from=$((stage > $1 ? stage : $1)) to=$((stop_stage < $2 ? stop_stage : $2)) name options=()
    shift 2
    [ "${from}" -le "${to}" ] || return 0
    for name in $(sed -n 's/^\([a-z_0-9]*\)=.*/\1/p' scripts/common/options.sh); do
        [[ "${name}" =~ ^(stage|stop_stage)$ ]] || options+=("--${name}" "${!name}")
    done
    RECIPE_SUPERVISOR=$$ stage_note=false ./ssl1.sh "${options[@]}" --stage "${from}" --stop_stage "${to}" "$@"
}

trained=$(trained_sets)
[ "${stage}" -gt 4 ] || run_ssl 1 4
if [ "${stage}" -le 4 ] && [ "${stop_stage}" -ge 4 ] && [ "${skip_data_prep}" != true ]; then
    for config in $(printf '%s\n' "${configs[@]:train_start_iter:train_stop_iter-train_start_iter+1}" | sort -u); do
        check_lengths "${config}" "${hubert_args}"
    done
fi

for ((iteration = train_start_iter; iteration <= train_stop_iter && first_stage <= 7 && stop_stage >= 5; iteration++)); do
    kmeans=${expdir}/kmeans/$(kmeans_name "${iteration}")
    if active "${skip_data_prep}" 5 "iteration ${iteration}: ${features[iteration]} -> ${kmeans}/labels: ${clusters[iteration]} units"; then
        clustered=
        if [ "${features[iteration]}" != mfcc ] && [ "${iteration}" -eq 0 ]; then
            clustered=${teacher}
        elif [ "${features[iteration]}" != mfcc ]; then
            clustered=$(experiment "$((iteration - 1))")
            need "${clustered}/checkpoints/latest" 7 "--train_start_iter $((iteration - 1))"
        fi
        for dset in ${trained} ${valid_set} ${old_sets}; do need "${dumpdir}/${dset}/index/index.json" 4; done
        scripts/km/learn_kmeans.sh --feature "${features[iteration]}" --layer "${layers[iteration]}" --model "${clustered}" \
            --normalize "${normalizations[iteration]}" --pca_dim "${pca_dims[iteration]}" \
            --whiten_dim "${whiten_dims[iteration]}" --smooth_frames "${smooth_widths[iteration]}" \
            --portion "${portions[iteration]}" --num_clusters "${clusters[iteration]}" --seed "${seed_km}" --nj "${nj}" \
            --gpu_dump_feature "${gpu_dump_feature}" --cmd "${train_cmd}" --python "${python}" \
            "$(paths "${dumpdir}" "${trained}")" "${kmeans}"
        for dset in ${trained} ${valid_set} ${old_sets}; do
            scripts/km/dump_labels.sh --nj "${nj}" --gpu_dump_feature "${gpu_dump_feature}" --cmd "${train_cmd}" \
                --python "${python}" "${kmeans}" "${dumpdir}/${dset}"
        done
        scripts/km/link_labels.sh --lang "${lang}" --dumpdir "${dumpdir}" "${kmeans}" ${trained} ${valid_set} ${old_sets}
    fi
    run_ssl 6 7 --train_config "${configs[iteration]}" --ssl_args "${hubert_args}" \
        --ssl_exp "$(experiment "${iteration}")" --labels_dir "${kmeans}/labels"
    [ "${stop_stage}" -ge 7 ] || exit 0
    stage=5    # the iterations after the first run whole
done

stage=${first_stage}
run_ssl 8 10 --train_config "${configs[train_stop_iter]}" --ssl_args "${hubert_args}" \
    --ssl_exp "$(experiment "${train_stop_iter}")" --labels_dir "${expdir}/kmeans/$(kmeans_name "${train_stop_iter}")/labels"
