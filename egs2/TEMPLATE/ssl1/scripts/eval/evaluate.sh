#!/usr/bin/env bash
# A trained model and formatted sets in, exp/<name>/eval/ and exp/<name>/report.html out; what is there is kept.
# Usage: scripts/eval/evaluate.sh [options] dump/<train set> dump/<valid set> exp/<name>
set -euo pipefail

eval=default      # default: minutes; full: every layer, part and task, several seeds
num_clusters=100
seeds=            # of k-means and probes; empty: 0, or 0 1 2 with --eval full
checkpoint=latest
test_sets=        # dump/<set> ...: further sets that the model is evaluated on, each in exp/<name>/test/<set>
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

options=(--eval "${eval}" --num_clusters "${num_clusters}" --checkpoint "${checkpoint}" --train_set "$1")
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

# evaluate <dump set> <folder>: <folder>/eval and report.html of the model on this set.
evaluate() {
    mkdir -p "$2/eval"
    literal env -u OMP_NUM_THREADS "${python}" -m espnet2.bin.ssl_evaluate --valid_set "$1" --output "$2" "${options[@]}" "${exp}"
    watched "$2/eval/evaluate.log" "${job[@]}" "$2/eval/evaluate.log" "${literal_words[@]}"
    cat "$2/eval/units.md"
    "${python}" -m espnet2.bin.ssl_report "$2"
}
evaluate "$2" "${exp}"
for test_set in ${test_sets}; do
    log "$(basename "${test_set}"), a set of --test_sets:"
    evaluate "${test_set}" "${exp}/test/$(basename "${test_set}")"
done
