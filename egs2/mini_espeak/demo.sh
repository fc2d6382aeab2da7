#!/usr/bin/env bash
# Nothing in, three pre-trained HuBERT models and a table of what they learned out; `make demo` calls this.
# Runs hubert1 (two iterations, log-mel input) and ssl1 (hubert1's labels, waveform input, packed for other libraries) on
# synthetic speech. A second call does only what is missing.
# Usage: ./demo.sh [--max_update 50]
set -euo pipefail

max_update=    # fewer updates, only to see the stages; the models then lie in exp/short

cd "$(dirname "${BASH_SOURCE[0]}")"
. ../../utils/parse_options.sh
expdir=exp${max_update:+/short}
shorter=${max_update:+--max_update ${max_update} --valid_interval_updates ${max_update} --num_threads 1}
seeds="0 1 2"
max_train_frames=100000
[ -z "${max_update}" ] || { seeds=0; max_train_frames=20000; }
start=${SECONDS}
# The experiments' own evaluation is left out (--skip_eval): the table at the end compares them all at once.
echo "== hubert1: two iterations =="
(cd hubert1 && rm -f "${expdir}/stages.tsv" && ./run.sh --expdir "${expdir}" --hubert_args "${shorter}" --stop_stage 7)
echo "== ssl1: HuBERT on the waveform, from the labels of hubert1 =="
(cd ssl1 && rm -f "${expdir}/stages.tsv" && ./run.sh --dumpdir ../hubert1/dump --pseudo_labels "../hubert1/${expdir}" \
    --train_config conf/train_hubert_mini_conv.yaml --ssl_args "${shorter}" \
    --expdir "${expdir}" --ssl_exp "${expdir}/ssl_hubert_mini_conv" --skip_eval true --stop_stage 9)

echo "== comparison =="
cd hubert1
. ./path.sh
iteration_0=${expdir}/hubert_iter0_mini_mfcc_km100
iteration_1=${expdir}/hubert_iter1_mini_espnet_hubert_l1_km100
from_labels=../ssl1/${expdir}/ssl_hubert_mini_conv
env -u OMP_NUM_THREADS python3 -m espnet2.bin.ssl_evaluate_units --train_set dump/train --valid_set dump/dev --num_clusters 100 \
    --seeds "${seeds}" --max_train_frames "${max_train_frames}" \
    --rows "MFCC=mfcc untrained_model=untrained:${iteration_0} iteration_0=model:${iteration_0} iteration_1=model:${iteration_1} ssl1=model:${from_labels}" \
    --output "${expdir}/demo/units" > /dev/null
echo
python3 -m espnet2.bin.ssl_summarize --units "${expdir}/demo/units.json" --output "${expdir}/demo/summary.md" \
    --experiments "iteration_0=${iteration_0}" "iteration_1=${iteration_1}" "ssl1=${from_labels}" \
    --stages "hubert1=${expdir}/stages.tsv" "ssl1=../ssl1/${expdir}/stages.tsv"
echo "the paths are relative to $(pwd); this table is in ${expdir}/demo/summary.md"
echo "all of it took $(((SECONDS - start) / 60)) min $(((SECONDS - start) % 60)) s. Synthetic speech: the figures say that the toolkit works, not how good a model is on people."
