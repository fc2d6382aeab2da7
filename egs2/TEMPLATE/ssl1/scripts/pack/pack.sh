#!/usr/bin/env bash
# A trained model in, a folder with all that it needs elsewhere and one archive of it out.
# Usage: scripts/pack/pack.sh [options] "dump/<train set> ..." exp/<name> exp/<name>/packed/<name>
set -euo pipefail

checkpoint=latest
targets=          # k-means folder whose labels it was trained on; of several label sets, one a line
token_list=       # of its labels, where they came from elsewhere
kmeans=           # folder of k-means folders: those of this model's layers go along
license=
formats="huggingface torchaudio"
python=python3

. utils/log.sh
. utils/parse_options.sh
[ $# -eq 3 ] || die "Usage: $0 [options] \"dump/<train set> ...\" exp/<name> <packed folder>"

options=(--model "$2" --checkpoint "${checkpoint}" --output "$3" --train_sets "$1" --license "${license}" --formats "${formats}")
kmeans_targets=()
while IFS= read -r folder; do
    [ ! -e "${folder}/card.json" ] || kmeans_targets+=("${folder}")
done <<< "${targets}"
[ "${#kmeans_targets[@]}" -eq 0 ] || options+=(--targets "${kmeans_targets[@]}")
[ -z "${token_list}" ] || options+=(--token_list "${token_list}")
[ ! -d "${kmeans}" ] || options+=(--kmeans "${kmeans}")
"${python}" -m espnet2.bin.ssl_pack "${options[@]}"
