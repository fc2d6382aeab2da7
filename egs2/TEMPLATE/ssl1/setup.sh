#!/usr/bin/env bash
# A recipe folder for a new corpus out: links to the toolkit, and what you edit: local/, run.sh and an empty conf/.
# Usage: egs2/TEMPLATE/ssl1/setup.sh <recipe dir>     e.g.: egs2/TEMPLATE/ssl1/setup.sh egs2/my_corpus/ssl1
set -euo pipefail

[ $# -eq 1 ] && [ "${1#-}" = "$1" ] || { echo "Usage: $0 <recipe dir>     e.g.: $0 egs2/my_corpus/ssl1" >&2; exit 2; }
template=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
task=$(basename "${template}")
root=$(cd "${template}/../../.." && pwd -P)
target=$1
if [ -e "${target}" ] && [ -n "$(ls -A "${target}")" ]; then
    echo "$0: error: ${target} exists and is not empty; nothing was changed" >&2
    exit 1
fi

# What a recipe reaches by a link of the same name. It belongs to the toolkit: nobody edits it in a recipe. One more folder
# is one more entry here, and one more name in test_recipes.py.
linked=("${template}/scripts" "${root}/utils" "${template}/pyscripts" "${template}/steps")
for name in "${template}"/*.sh; do
    [ "$(basename "${name}")" = setup.sh ] || linked+=("${name}")
done

mkdir -p "${target}"
target=$(cd "${target}" && pwd -P)
for source in "${linked[@]}"; do
    name=$(basename "${source}")
    # Relative inside the repository, so that it can be moved as a whole.
    case "${target}/" in "${root}"/*) source=$(realpath -m --relative-to="${target}" "${source}") ;; esac
    ln -s "${source}" "${target}/${name}"
done

# The two recipes of a corpus prepare the same data: the second one takes local/ of the first.
other=hubert1
[ "${task}" = ssl1 ] || other=ssl1
if [ -e "${target}/../${other}/local/data.sh" ] && [ "$(basename "${target}")" = "${task}" ]; then
    ln -s "../${other}/local" "${target}/local"
else
    cp -RL "${template}/local" "${target}/"
fi
mkdir "${target}/conf"    # a config that is not here is found in the template
cp "${template}/run.sh.template" "${target}/run.sh"
chmod +x "${target}/run.sh"

echo "made ${target} (${task}). Next:"
if [ -L "${target}/local" ]; then
    echo "  1. nothing to write: local/ is that of ../${other}"
else
    echo "  1. write ${target}/local/data.sh: it makes data/.new/<set>/{wav.scp,utt2spk}; scripts/corpus/publish_sets.sh makes data/<set> of them"
fi
echo "  2. name the sets in ${target}/run.sh"
echo "  3. cd ${target} && ./run.sh --stage 1 --stop_stage 4"
