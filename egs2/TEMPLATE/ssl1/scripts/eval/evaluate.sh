#!/usr/bin/env bash
# A trained model and two formatted sets in, exp/<name>/eval/ and exp/<name>/report.html out; what is there is kept.
# Usage: scripts/eval/evaluate.sh [options] dump/<train set> dump/<valid set> exp/<name>
set -euo pipefail

eval=default      # default: minutes; full: every layer, part and task, several seeds
num_clusters=100
seeds=            # of k-means and probes; empty: 0, or 0 1 2 with --eval full
checkpoint=latest
alignments=       # file or folder of phone alignments; empty: phones.ctm of the sets
token_type=       # of stage 5: CTC probes then use its tokens instead of letters and phones,
tokens=           # from this folder,
cleaner=none      # with transcripts cleaned like this,
g2p=none          # and phones of transcripts made like this
args=             # options of single parts, such as "probes.tasks=[ctc]"
ngpu=0            # more than 0: on one GPU
cmd=run.pl        # how the job is started,
cuda_cmd=run.pl   # and how with a GPU
python=python3

. utils/log.sh
. utils/parse_options.sh
. scripts/common/jobs.sh
[ $# -eq 3 ] || die "Usage: $0 [options] dump/<train set> dump/<valid set> exp/<name>"
exp=$3

options=(--eval "${eval}" --num_clusters "${num_clusters}" --checkpoint "${checkpoint}" --train_set "$1" --valid_set "$2")
[ -z "${seeds}" ] || options+=(--seeds "${seeds}")
[ -z "${alignments}" ] || options+=(--alignments "${alignments}")
part_options=()
case "${token_type}" in
    char | bpe | phn)
        part_options+=("probes.token_types=[${token_type}]" "probes.cleaner=${cleaner}" "probes.g2p=${g2p}")
        [ ! -f "${tokens}/tokens.txt" ] || part_options+=("probes.token_list=${tokens}/tokens.txt")
        [ ! -f "${tokens}/bpe.model" ] || part_options+=("probes.bpe_model=${tokens}/bpe.model")
        ;;
esac
read -ra more <<< "${args}"
part_options+=(${more[@]+"${more[@]}"})
[ ${#part_options[@]} -eq 0 ] || options+=(--options "${part_options[@]}" --)
read -ra job <<< "${cmd}"
if [ "${ngpu}" -gt 0 ]; then
    options+=(--device cuda)
    read -ra job <<< "${cuda_cmd} --gpu 1"
fi
mkdir -p "${exp}/eval"
literal env -u OMP_NUM_THREADS "${python}" -m espnet2.bin.ssl_evaluate "${options[@]}" "${exp}"
watched "${exp}/eval/evaluate.log" "${job[@]}" "${exp}/eval/evaluate.log" "${literal_words[@]}"
cat "${exp}/eval/units.md"
"${python}" -m espnet2.bin.ssl_report "${exp}"
