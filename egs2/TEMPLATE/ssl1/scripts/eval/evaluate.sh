#!/usr/bin/env bash
# A trained model and two formatted sets in, exp/<name>/eval/units.{json,md} out: units against phones, baselines beside.
# Usage: scripts/eval/evaluate.sh [options] dump/<train set> dump/<valid set> exp/<name>
set -euo pipefail

num_clusters=100
seeds="0 1 2"
checkpoint=latest
alignments=       # folder of <set>.ctm, where the sets have no phones.ctm
cmd=run.pl
python=python3

. utils/log.sh
. utils/parse_options.sh
. scripts/common/jobs.sh
[ $# -eq 3 ] || die "Usage: $0 [options] dump/<train set> dump/<valid set> exp/<name>"
train=$1
valid=$2
exp=$3

for set_dir in "${train}" "${valid}"; do
    ctm=${alignments:+${alignments}/$(basename "${set_dir}").ctm}
    [ -z "${ctm}" ] || [ ! -e "${ctm}" ] || cp "${ctm}" "${set_dir}/phones.ctm"
    if [ ! -e "${set_dir}/phones.ctm" ]; then
        log "stage 8: no phone alignments (${set_dir}/phones.ctm, or --alignment_phoneme_dir with $(basename "${set_dir}").ctm): purity and PNMI are not computed"
        exit 0
    fi
done
mkdir -p "${exp}/eval"
watched "${exp}/eval/units.log" ${cmd} "${exp}/eval/units.log" env -u OMP_NUM_THREADS "${python}" -m espnet2.bin.ssl_evaluate_units \
    --train_set "${train}" --valid_set "${valid}" --num_clusters "${num_clusters}" --seeds "${seeds}" \
    --rows "mfcc untrained:${exp} model:${exp}@${checkpoint}" --output "${exp}/eval/units"
cat "${exp}/eval/units.md"
