#!/usr/bin/env bash
# Corpora and a frozen model in, exp/superb/RESULTS.md out: the tasks of SUPERB, in the leaderboard's form.
# Usage: ./superb.sh --corpora "speech_commands=/corpora voxceleb1=/corpora/VoxCeleb1" --model hf:facebook/hubert-base-ls960
#
# Stages: 1 data: corpora -> data/<task>      2 features: data/ -> the cache, an array job
#         3 fit: heads at all learning rates, an array job      4 table: tests, results and the table
set -euo pipefail

stage=1                   # First stage to run.
stop_stage=4              # Last stage to run.
corpora=                  # For stage 1: "<corpus>=<folder> ...", as they unpack; doc/superb.md has the list.
corpus_options=           # Of these: "librispeech.lexicon=[<file>] ml_superb.duration=1h".
data=data                 # Gets, or has, <task>/{train,dev,test}.
model=                    # exp/<name>, a packed model, hf:<user>/<name>, or a foreign one. Required from stage 2 on.
checkpoint=latest         # Of exp/<name>.
title=                    # Of the model in the table; empty: the end of its name.
systems=model             # Rows: some of "model untrained mfcc logmel".
tasks=                    # Such as "ks sid"; empty: all that data has.
rules=                    # YAML with a section per task, for runs that are not official, such as rules/mini.yaml.
options=                  # Single rules, such as "ks.updates=500 sid.batch_size=4".
learning_rates=           # To search: "1e-3 1e-4", or official for 1e-1 to 1e-7; empty: the rate of the rules.
output=exp/superb         # Results, table and cache.
cache_gb=100              # Budget of the cache of features on disk, GB.
cache_precision=float16   # Of the cache: float16 or float32.
fs=16000                  # Sample rate of the model, Hz.
seed=0                    # Of heads and batches.
ngpu=0                    # More than 0: every job has a GPU.
nj=1                      # Parallel jobs of stages 2 and 3.
python=python3            # The interpreter with the toolkit's packages.

. utils/log.sh
. utils/parse_options.sh
. scripts/common/jobs.sh
[ $# -eq 0 ] || die "unexpected argument '$1': every option is written --name value; see $0 --help"
. ./path.sh
. ./cmd.sh

# assignments <option> <pattern of a name> <words>: assigned are its <name>=<value>; a value may hold blanks.
assignments() {
    local what=$1 pattern="^($2)=(.*)$" value
    assigned=()
    while read -r value; do
        if [[ "${value}" =~ ${pattern} ]]; then
            assigned+=("${value}")
        elif [ ${#assigned[@]} -gt 0 ]; then
            assigned[-1]+=" ${value}"
        else
            die "${what} '${value}': expected <name>=<value>, such as in $0 --help"
        fi
    done < <(tr ' ' '\n' <<< "$3" | sed '/^$/d')
    for value in "${assigned[@]}"; do
        [ -n "${value#*=}" ] || die "${what} '${value}': nothing behind the ="
    done
}

if in_stage 1 "corpora -> ${data}/<task>"; then
    [ -n "${corpora}" ] || log "stage 1: no --corpora: takes what ${data} has"
    assignments --corpora '[a-z0-9_]+' "${corpora}"
    folders=("${assigned[@]}")
    assignments --corpus_options '[a-z0-9_]+\.[a-z0-9_]+' "${corpus_options}"
    for option in "${assigned[@]}"; do
        [[ " ${folders[*]%%=*} " == *" ${option%%.*} "* ]] || die "--corpus_options '${option}': --corpora has no ${option%%.*}"
    done
    for corpus in "${folders[@]}"; do
        name=${corpus%%=*}
        given=(--corpus "${name}")
        for option in "${assigned[@]}"; do
            [ "${option%%.*}" != "${name}" ] || given+=(--options "${option#*.}")
        done
        "${python}" -m espnet2.bin.ssl_superb_data "${given[@]}" -- "${corpus#*=}" "${data}"
    done
fi
[ "${stop_stage}" -ge 2 ] || exit 0
[ -n "${model}" ] || [[ " ${systems} " != *" model "* && " ${systems} " != *" untrained "* ]] || die "--model is required from stage 2 on"

job=("${cuda_cmd}")
words=(--data "${data}" --output "${output}" --systems "${systems}" --tasks "${tasks}" --checkpoint "${checkpoint}")
words+=(--learning_rates "${learning_rates}" --cache_gb "${cache_gb}" --cache_precision "${cache_precision}" --fs "${fs}" --seed "${seed}")
[ -z "${title}" ] || words+=(--title "${title}")
[ -z "${rules}" ] || words+=(--rules "${rules}")
if [ "${ngpu}" -gt 0 ]; then
    job=("${cuda_cmd} --gpu 1")
    words+=(--device cuda)
fi
read -ra single <<< "${options}"
[ ${#single[@]} -eq 0 ] || words+=(--options "${single[@]}")
words+=(-- ${model:+"${model}"})
if [ "${nj}" -gt 1 ]; then export OMP_NUM_THREADS=1; else unset OMP_NUM_THREADS; fi    # several jobs share the cores

# superb <step> <jobs>: as an array job, or for the last stage as one job.
superb() {
    local logs=${output}/log/$1.JOB.log
    mkdir -p "${output}/log"
    literal "${python}" -m espnet2.bin.ssl_superb --steps "$1" "${@:3}" "${words[@]}"
    # shellcheck disable=SC2068
    watched "${logs}" ${job[@]} JOB=1:"$2" "${logs}" "${literal_words[@]}"
}

if in_stage 2 "${data} -> ${output}/cache: every utterance encoded once, ${nj} jobs, logs in ${output}/log"; then
    superb features "${nj}" --job JOB --num_jobs "${nj}"
fi
if in_stage 3 "${output}/cache -> heads of all tasks and learning rates, ${nj} jobs"; then
    superb fit "${nj}" --job JOB --num_jobs "${nj}"
fi
if in_stage 4 "heads -> ${output}/<system>/<task>.json, ${output}/RESULTS.md"; then
    superb test 1
    "${python}" -m espnet2.bin.ssl_superb --steps table --output "${output}"
fi
