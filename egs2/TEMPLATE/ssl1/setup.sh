#!/usr/bin/env bash
# A recipe folder for a new corpus out: links to the template, copies of conf/ and local/, a run.sh to edit.
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

mkdir -p "${target}"
target=$(cd "${target}" && pwd -P)
# link <file or folder of the toolkit>: relative inside the repository, so that it can be moved as a whole.
link() {
    local source=$1
    case "${target}/" in "${root}"/*) source=$(realpath -m --relative-to="${target}" "$1") ;; esac
    ln -s "${source}" "${target}/$(basename "$1")"
}
for name in "${template}"/*.sh; do
    [ "$(basename "${name}")" = setup.sh ] || link "${name}"
done
link "${root}/utils"
link "${template}/scripts"
cp -RL "${template}/conf" "${template}/local" "${target}/"
cp "${template}/run.sh.template" "${target}/run.sh"
chmod +x "${target}/run.sh"

echo "made ${target} (${task}). Next:"
echo "  1. write ${target}/local/data.sh: it makes data/.new/<set>/{wav.scp,utt2spk}; scripts/corpus/publish_sets.sh makes data/<set> of them"
echo "  2. name the sets in ${target}/run.sh"
echo "  3. cd ${target} && ./run.sh --stage 1 --stop_stage 4"
