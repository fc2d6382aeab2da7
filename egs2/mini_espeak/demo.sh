#!/usr/bin/env bash
# Nothing in, three pre-trained HuBERT models and a table of what they learned out; `make demo` calls this.
# Runs hubert1 (two iterations) and ssl1 (from hubert1's labels) on synthetic speech. A second call does only what is missing.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
start=${SECONDS}
# The experiments' own evaluation is left out (--skip_eval): the table at the end compares them all at once.
echo "== hubert1: two iterations =="
(cd hubert1 && rm -f exp/stages.tsv && ./run.sh --stop_stage 7)
echo "== ssl1: HuBERT from the labels of hubert1 =="
(cd ssl1 && rm -f exp/stages.tsv && ./run.sh --dumpdir ../hubert1/dump --stop_stage 7)

echo "== comparison =="
cd hubert1
. ./path.sh
iteration_0=exp/hubert_iter0_mini_mfcc_km100
iteration_1=exp/hubert_iter1_mini_espnet_hubert_l1_km100
from_labels=../ssl1/exp/ssl_hubert_mini
env -u OMP_NUM_THREADS python3 -m espnet2.bin.ssl_evaluate_units --train_set dump/train --valid_set dump/dev --num_clusters 100 \
    --rows "MFCC=mfcc untrained_model=untrained:${iteration_0} iteration_0=model:${iteration_0} iteration_1=model:${iteration_1} ssl1=model:${from_labels}" \
    --output exp/demo/units > /dev/null
echo
python3 -m espnet2.bin.ssl_summarize --units exp/demo/units.json --output exp/demo/summary.md \
    --experiments "iteration_0=${iteration_0}" "iteration_1=${iteration_1}" "ssl1=${from_labels}" \
    --stages "hubert1=exp/stages.tsv" "ssl1=../ssl1/exp/stages.tsv"
echo "the paths are relative to $(pwd); this table is in exp/demo/summary.md"
echo "all of it took $(((SECONDS - start) / 60)) min $(((SECONDS - start) % 60)) s. Synthetic speech: the figures say that the toolkit works, not how good a model is on people."
