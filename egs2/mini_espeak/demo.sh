#!/usr/bin/env bash
# Nothing in, three pre-trained HuBERT models, a table of what they learned and a report page out; `make demo` calls this.
# Runs hubert1 (two iterations, log-mel input) and ssl1 (hubert1's labels, waveform input, packed for other libraries) on
# synthetic speech. One line for each stage is shown; all that is said goes to exp/demo/demo.log. A second call does only what
# is missing.
# Usage: ./demo.sh [--max_update 50]
set -euo pipefail

max_update=    # fewer updates, only to see the stages; the models then lie in exp/short

cd "$(dirname "${BASH_SOURCE[0]}")"
. ../../utils/parse_options.sh
expdir=exp/demo
hubert_updates=2200    # the configs go on to 3,500 and 3,000, which RESULTS.md is about
hubert_rate=1.5e-3     # three times the config's: synthetic speech carries it, and learns more in so few updates
waveform_updates=600
shorter=
seeds="0 1 2"
max_train_frames=60000
if [ -n "${max_update}" ]; then
    expdir=exp/short
    hubert_updates=${max_update}
    waveform_updates=${max_update}
    shorter="--valid_interval_updates ${max_update} --num_threads 1"
    seeds=0
    max_train_frames=20000
fi
iteration_0=${expdir}/hubert_iter0_mini_mfcc_km100
iteration_1=${expdir}/hubert_iter1_mini_espnet_hubert_l1_km100
from_labels=../ssl1/${expdir}/ssl_hubert_mini_conv
table=${expdir}/summary.md
log=hubert1/${expdir}/demo.log
export progress_seconds=2    # between two lines about jobs at work, from which the bar is drawn

# The recipes' own stage 8 is left out: one evaluation at the end compares all models.
train_all() {
    set -euo pipefail
    cd hubert1
    rm -f "${expdir}/stages.tsv"
    ./run.sh --expdir "${expdir}" --hubert_args "--max_update ${hubert_updates} --optim_conf.lr ${hubert_rate} ${shorter}" --stop_stage 7
    cd ../ssl1
    rm -f "${expdir}/stages.tsv"
    ./run.sh --dumpdir ../hubert1/dump --pseudo_labels "../hubert1/${expdir}" --train_config conf/train_hubert_mini_conv.yaml \
        --ssl_args "--max_update ${waveform_updates} ${shorter}" --expdir "${expdir}" \
        --ssl_exp "${expdir}/ssl_hubert_mini_conv" --skip_eval true --stop_stage 9
}

evaluate_all() {
    set -euo pipefail
    cd hubert1
    . ./path.sh
    local learned=(--train_set dump/train --valid_set dump/dev --num_clusters 100 --max_train_frames "${max_train_frames}")
    echo "stage 8: units of all models beside those of MFCC -> ${table}"
    env -u OMP_NUM_THREADS python3 -m espnet2.bin.ssl_evaluate_units "${learned[@]}" --seeds "${seeds}" \
        --rows "MFCC=mfcc untrained_model=untrained:${iteration_0} iteration_0=model:${iteration_0} iteration_1=model:${iteration_1} ssl1=model:${from_labels}" \
        --output "${expdir}/units"
    echo "stage 8: a page about iteration 1 -> ${iteration_1}/report.html"
    env -u OMP_NUM_THREADS python3 -m espnet2.bin.ssl_evaluate "${learned[@]}" --parts "units examples" "${iteration_1}"
    python3 -m espnet2.bin.ssl_report "${iteration_1}"
}

# shown <function>: run it, show one line for each stage, and the end of the log where it fails.
shown() {
    local status
    set +e
    ("$1") 2>&1 | python3 -SE ../../utils/show_progress.py --log "${log}"
    status=${PIPESTATUS[0]}
    set -e
    [ "${status}" -eq 0 ] || { tail -n 15 "${log}" >&2; echo "demo.sh: error: stopped; all of it is in ${PWD}/${log}" >&2; exit 1; }
}

start=${SECONDS}
mkdir -p "hubert1/${expdir}" "ssl1/${expdir}"
echo "== hubert1: two iterations; ssl1: HuBERT on the waveform, from the labels of hubert1 =="
shown train_all
echo "== comparison =="
shown evaluate_all
cd hubert1
. ./path.sh
echo
python3 -m espnet2.bin.ssl_summarize --units "${expdir}/units.json" --output "${table}" \
    --experiments "iteration_0=${iteration_0}" "iteration_1=${iteration_1}" "ssl1=${from_labels}" \
    --stages "hubert1=${expdir}/stages.tsv" "ssl1=../ssl1/${expdir}/stages.tsv"
echo "ssl1 hears the waveform and has only begun: its convolutions need several times its ${waveform_updates} updates to reach MFCC. It is there to be loaded by other libraries."
echo "all of it took $(((SECONDS - start) / 60)) min $(((SECONDS - start) % 60)) s. Synthetic speech: the figures say that the toolkit works, not how good a model is on people."
echo "the paths are relative to $(pwd); this table is in ${table}"
echo "curves, units by layer, and examples to see and hear, in a browser: $(pwd)/${iteration_1}/report.html"
