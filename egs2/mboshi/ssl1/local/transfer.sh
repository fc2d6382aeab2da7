#!/usr/bin/env bash
# Units and phone probes, on the speaker that is held out, of models that never heard Mboshi: the packed ones of other recipes.
# Usage: local/transfer.sh [options]      e.g.: local/transfer.sh --models "../../mini_espeak/ssl1/models/hubert_mini"
# Run from egs2/mboshi/hubert1 after stages 1 to 5, and ./run.sh --stage 3 --stop_stage 4 --valid_set test.
set -euo pipefail

models=                  # folders; default: all of ../../{mini_espeak,festvox_ru}/ssl1/models but the waveform one
eval_seeds="0"           # of k-means and probes
max_train_frames=30000   # that they learn on, of train
dumpdir=dump
expdir=exp
python=python3

. utils/log.sh
. utils/parse_options.sh
# shellcheck source=/dev/null
. ./path.sh
[ $# -eq 0 ] || die "unexpected argument '$1': every option is written --name value; see $0 --help"

[ -n "${models}" ] || models=$(echo ../../{mini_espeak,festvox_ru}/ssl1/models/*_mini)
folder=${expdir}/transfer
mkdir -p "${folder}/models"
named=()
for model in ${models}; do
    [ -d "${model}" ] || die "--models: ${model} is no folder"
    corpus=$(basename "$(realpath "${model}/../../..")")
    name=${corpus}_$(basename "${model}")_seed0
    ln -sfn "$(realpath "${model}")" "${folder}/models/${name}"
    named+=("${name}=${folder}/models/${name}")
done
log "${#named[@]} models on ${dumpdir}/test: ${folder}/eval"
"${python}" -m espnet2.bin.ssl_evaluate --train_set "${dumpdir}/train" --valid_set "${dumpdir}/test" --seeds "${eval_seeds}" \
    --max_train_frames "${max_train_frames}" --parts "units probes" --output "${folder}" \
    ${named[1]+--beside "${named[@]:1}"} -- "${named[0]#*=}" > /dev/null
"${python}" local/table_of_runs.py "${folder}/eval" --results RESULTS.md --mark transfer
