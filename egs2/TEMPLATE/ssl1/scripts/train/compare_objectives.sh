#!/usr/bin/env bash
# Every objective trained for the same wall time in, the units of each beside MFCC and an untrained model out: RESULTS.md.
# Usage: scripts/train/compare_objectives.sh [options]      e.g.: scripts/train/compare_objectives.sh --minutes 4
# Run from egs2/<corpus>/ssl1, on a quiet machine; a stopped or repeated call does only what is missing.
# 1. corpus and k-means labels (../hubert1, stages 1 to 5)  2. a trial per objective: updates that fill the minutes
# 3. training  4. units against phones  5. RESULTS.md, picture  6. models/: small copies, to be committed
set -euo pipefail

objectives="hubert wav2vec2 wavlm data2vec2 dinosr w2v_bert best_rq speechflow"
size=mini                 # conf/train_<objective>_<size>.yaml
minutes=2.5               # of each training
clock=wall                # of the minutes; core: the time of one core (with --num_threads 1), right on a busy machine too
trial_seconds=15          # of the trial that says how many updates these are
num_threads=2             # of each training
ngpu=0                    # 0 or 1
nj=2                      # of stages 1 to 5
train_set=train
valid_set=dev
labels_recipe=../hubert1  # whose k-means labels hubert and wavlm train on
labels_iter=0             # of which iteration: 0 is k-means of MFCC
dumpdir=                  # empty: that of the labels' recipe
num_clusters=100          # of the evaluation's k-means
seeds="0 1 2"             # of the evaluation's k-means
frame_rate=50             # at which all are compared
codes=dinosr              # objectives whose own codes get a row too
reference=hubert          # the row that all are compared with, beside MFCC
tag=                      # name of the comparison; empty: <size>_<minutes>min
results=RESULTS.md        # the part between its marks is rewritten; it is made if it is missing
picture=images/objectives.png
models=models             # folder of the small copies; empty: none
max_megabytes=3           # of each small copy
python=python3

. utils/log.sh
. utils/parse_options.sh
. scripts/common/configs.sh
# shellcheck source=/dev/null
. ./path.sh
[ $# -eq 0 ] || die "unexpected argument '$1': every option is written --name value; see $0 --help"

dumpdir=${dumpdir:-${labels_recipe}/dump}
work=exp/compare_${tag:-${size}_${minutes}min}
read -ra names <<< "${objectives}"
for name in "${names[@]}"; do
    find_config "conf/train_${name}_${size}.yaml" > /dev/null ||
        die "conf/train_${name}_${size}.yaml is missing: leave ${name} out of --objectives, or write it; there are: $(list_configs)"
done
mkdir -p "${work}"
machine=(--num_threads "${num_threads}")
[ "${clock}" = wall ] || machine+=(--num_workers 0)

log "step 1: corpus and labels: ${labels_recipe}, iteration ${labels_iter}"
if ! kmeans=$(scripts/tokens/find_kmeans.sh "${labels_recipe}" "${labels_iter}" 2> /dev/null); then
    [ "${labels_iter}" = 0 ] || die "${labels_recipe}: no labels of iteration ${labels_iter}; train that recipe first"
    (cd "${labels_recipe}" && ./run.sh --nj "${nj}" --stop_stage 5 --train_start_iter 0)
    kmeans=$(scripts/tokens/find_kmeans.sh "${labels_recipe}" "${labels_iter}")
fi
labels=${dumpdir}/packed_labels/$(basename "${kmeans}")

# run <objective> <first stage> <last stage> [<overrides of the config>]
run() {
    ./run.sh --dumpdir "${dumpdir}" --train_set "${train_set}" --valid_set "${valid_set}" --nj "${nj}" --ngpu "${ngpu}" \
        --pseudo_labels "${labels_recipe}" --pseudo_labels_iter "${labels_iter}" --token_type "" \
        --train_config "conf/train_$1_${size}.yaml" --ssl_exp "${work}/$1" --stage "$2" --stop_stage "$3" --ssl_args "${4:-}"
}

log "step 2: a trial of ${trial_seconds} s for each objective; step 3: its training"
experiments=()
for name in "${names[@]}"; do
    exp=${work}/${name}
    experiments+=("${name}=${exp}")
    [ ! -e "${exp}/train.done" ] || { log "${name}: trained before"; continue; }
    run "${name}" 5 6
    updates=$(env -u OMP_NUM_THREADS "${python}" -m espnet2.bin.ssl_time_training --config "conf/train_${name}_${size}.yaml" \
        --train_sets "${dumpdir}/${train_set}" --valid_sets "${dumpdir}/${valid_set}" --train_labels "${labels}/${train_set}" \
        --valid_labels "${labels}/${valid_set}" --ngpu "${ngpu}" --minutes "${minutes}" --clock "${clock}" --seconds "${trial_seconds}" \
        --name "${name}" --file "${work}/calibration.json" "${machine[@]}")
    log "${name}: ${updates} updates in ${minutes} minutes"
    run "${name}" 7 7 "--max_update ${updates} ${machine[*]} --log_interval_updates $((updates / 50 + 1)) \
        --valid_interval_updates $((updates / 8 + 1))"
    [ -e "${exp}/train.done" ] || die "${name}: the training did not end; the same command goes on with it"
done

for dset in "${train_set}" "${valid_set}"; do
    [ -e "${dumpdir}/${dset}/phones.ctm" ] && continue
    log "step 4: ${dumpdir}/${dset}/phones.ctm is missing: no table of units against phones. What can be known without: ./run.sh --stage 8 --stop_stage 8 --ssl_exp ${work}/<objective>"
    exit 0
done
log "step 4: units against phones"
rows="MFCC=mfcc untrained_model=untrained:${work}/${names[0]}"
stale=false
for name in "${names[@]}"; do
    rows+=" ${name}=model:${work}/${name}"
    case " ${codes} " in *" ${name} "*) rows+=" ${name}_codes=codes:${work}/${name}" ;; esac
    [ ! "${work}/${name}/train.done" -nt "${work}/units.json" ] || stale=true
done
[ "$(cat "${work}/rows" 2> /dev/null)" = "${rows} ${num_clusters} ${seeds} ${frame_rate}" ] || stale=true
if "${stale}" || [ ! -e "${work}/units.json" ]; then
    env -u OMP_NUM_THREADS "${python}" -m espnet2.bin.ssl_evaluate_units --train_set "${dumpdir}/${train_set}" \
        --valid_set "${dumpdir}/${valid_set}" --num_clusters "${num_clusters}" --seeds "${seeds}" --frame_rate "${frame_rate}" \
        --rows "${rows}" --output "${work}/units" > /dev/null
    echo "${rows} ${num_clusters} ${seeds} ${frame_rate}" > "${work}/rows"
fi

log "step 5: ${results}"
"${python}" -m espnet2.bin.ssl_compare_objectives --experiments "${experiments[@]}" --units "${work}/units.json" \
    --calibration "${work}/calibration.json" --reference "${reference}" --results "${results}" --picture "${picture}"

[ -n "${models}" ] || exit 0
log "step 6: ${models}"
for name in "${names[@]}"; do
    "${python}" -m espnet2.bin.ssl_pack_model --model "${work}/${name}" --output "${models}/${name}_${size}" \
        --max_megabytes "${max_megabytes}"
done
