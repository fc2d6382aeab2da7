#!/usr/bin/env bash
# A hubert1 recipe in, the folder of its last finished k-means (or that of one iteration) out, on standard output.
# Usage: scripts/tokens/find_kmeans.sh <hubert1 recipe, its exp folder, or a k-means folder itself> [<iteration>]
set -euo pipefail
. utils/log.sh

[ $# -ge 1 ] || { echo "Usage: $0 <hubert1 recipe, or its exp folder> [<iteration>]" >&2; exit 2; }
recipe=$1
iteration=${2:-}
[ -d "${recipe}" ] || die "--pseudo_labels ${recipe}: no such folder; give a hubert1 recipe, for example ../hubert1"
if [ -e "${recipe}/card.json" ]; then    # a k-means that the user chose
    compgen -G "${recipe}/labels/*.txt" > /dev/null || die "${recipe}: no finished labels there; run stage 5 of its hubert1 recipe"
    echo "${recipe%/}"
    exit 0
fi
exp=${recipe}/exp
[ -d "${exp}" ] || exp=${recipe}

# A k-means is finished when its labels are: the card is written first, then labels/<set>.txt.
finished=()
for card in "${exp}"/kmeans/iter*_*/card.json; do
    folder=$(dirname "${card}")
    [[ "${folder##*/}" == iter${iteration:-*}_* ]] || continue
    if [ -e "${card}" ] && compgen -G "${folder}/labels/*.txt" > /dev/null; then finished+=("${folder}"); fi
done
[ "${#finished[@]}" -gt 0 ] ||
    die "${exp}/kmeans: no finished labels${iteration:+ of iteration ${iteration}}; run stages 1 to 5 of that hubert1 recipe first: ./run.sh --stop_stage 5"

# The name starts with iter<i>_: the largest i wins; two of one iteration are the user's to choose from.
last=$(printf '%s\n' "${finished[@]}" | sed 's|.*/iter\([0-9]*\)_.*|\1|' | sort -n | tail -n 1)
chosen=()
for folder in "${finished[@]}"; do
    if [[ "${folder##*/}" == iter"${last}"_* ]]; then chosen+=("${folder}"); fi
done
[ "${#chosen[@]}" -eq 1 ] ||
    die "${exp}/kmeans: iteration ${last} has several (${chosen[*]##*/}); name the one you mean: --pseudo_labels ${chosen[0]}"
echo "${chosen[0]}"
