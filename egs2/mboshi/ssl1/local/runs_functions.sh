# Sourced by runs.sh, whose options and mfcc_labels it reads: one training, and the labels that it learns from.
# shellcheck shell=bash disable=SC2154

# train <row> <seed> <config> <labels> <updates> [<override>...]: expdir/runs/<row>_seed<seed>.
train() {
    local exp=${expdir}/runs/$1_seed$2 row=$1 seed=$2 config=$3 labels=$4 last=$5
    shift 5
    [ ! -e "${exp}/train.done" ] || return 0
    log "${row}, seed ${seed}: ${last} updates on ${labels#"${expdir}/"}; log in ${exp}/log.txt"
    mkdir -p "${exp}"
    take_sets "${labels}"
    # shellcheck disable=SC2086
    "${python}" -m espnet2.bin.ssl_train --config "${config}" "${sets[@]}" --output_dir "${exp}" --seed "${seed}" \
        --max_update "${last}" --num_threads "${num_threads}" --num_workers "${num_workers}" "$@" ${overrides} \
        >> "${exp}/log.txt" 2>&1 || die "$(tail -n 1 "${exp}/log.txt") (${exp}/log.txt)"
    [ -e "${exp}/train.done" ] || die "${exp}: the training did not end; the same command goes on with it"
}

# take_sets <labels>: the data options of a training, as the array sets.
take_sets() {
    sets=(--train_sets "$(paths "${dumpdir}" "${train_set}")" --valid_sets "${dumpdir}/dev"
        --train_labels "$(paths "$1" "${train_set}")" --valid_labels "$1/dev")
}

# updates_of <objective> [<override>...]: as many as fit into the minutes; every seed has the number of the first.
updates_of() {
    local config name=$1
    shift
    config=$(config_of "${name}")
    scripts/audio/mel_statistics.sh --nj 1 --python "${python}" "${config}" "$(paths "${dumpdir}" "${train_set}")" >&2
    take_sets "${mfcc_labels}"
    "${python}" -m espnet2.bin.ssl_time_training --config "${config}" "${sets[@]}" --name "${name}" \
        --minutes "${minutes}" --clock core --file "${expdir}/runs/calibration.json" --num_threads 1 --num_workers 0 "$@"
}

# config_of <objective>: its mini config.
config_of() {
    find_config "../ssl1/conf/train_$1_mini.yaml" || find_config "../ssl1/conf/train_$1.yaml" ||
        die "--rows: unknown '$1': no row of this script, no conf/train_$1_mini.yaml and no conf/train_$1.yaml"
}

# train_objective <row> <seed> <objective> <updates> [<override>...]
train_objective() {
    local row=$1 seed=$2 config last=$4
    config=$(config_of "$3")
    shift 4
    train "${row}" "${seed}" "${config}" "${mfcc_labels}" "${last}" --valid_interval_updates "$((last / 8 + 1))" "$@"
}

# mfcc_labels_of <name> <clusters> [<option>...]: k-means of MFCC that were changed before.
mfcc_labels_of() {
    local kmeans=${expdir}/kmeans/runs_mfcc_$1_km$2 clusters=$2
    shift 2
    scripts/km/learn_kmeans.sh --feature mfcc --num_clusters "${clusters}" --nj 1 --python "${python}" "$@" \
        "$(paths "${dumpdir}" "${train_set}")" "${kmeans}" >&2
    for dset in ${train_set} dev; do
        scripts/km/dump_labels.sh --nj 1 --python "${python}" "${kmeans}" "${dumpdir}/${dset}" >&2
    done
    echo "${kmeans}/labels"
}

# labels_of <row of the model> <seed> <clusters> [<layer>]: clusters of one layer as it is, or of its three layers joined,
# whitened and smoothed.
labels_of() {
    local model=${expdir}/runs/$1_seed$2 layer=${4:-1+2+3} changes=()
    local kmeans=${expdir}/kmeans/runs_$1_seed$2_l${layer}_km$3
    [ -n "${4:-}" ] || changes=(--whiten_dim 64 --smooth_frames 3)
    [ -e "${model}/train.done" ] || die "${model} is not trained: local/runs.sh --rows $1 --seeds $2"
    scripts/km/learn_kmeans.sh --feature espnet_hubert --layer "${layer}" ${changes[@]+"${changes[@]}"} --model "${model}" \
        --num_clusters "$3" --portion 0.5 --seed "$2" --nj 1 --python "${python}" "$(paths "${dumpdir}" "${train_set}")" "${kmeans}" >&2
    for dset in ${train_set} dev; do
        scripts/km/dump_labels.sh --nj 1 --python "${python}" "${kmeans}" "${dumpdir}/${dset}" >&2
    done
    echo "${kmeans}/labels"
}
