#!/usr/bin/env bash
# A folder for a run of SUPERB out: links to the toolkit and an empty conf/.
# Usage: egs2/TEMPLATE/superb1/setup.sh <recipe dir>     e.g.: egs2/TEMPLATE/superb1/setup.sh egs2/my_corpus/superb1
set -euo pipefail

[ $# -eq 1 ] && [ "${1#-}" = "$1" ] || { echo "Usage: $0 <recipe dir>     e.g.: $0 egs2/my_corpus/superb1" >&2; exit 2; }
template=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "${template}/../../.." && pwd -P)
target=$1
if [ -e "${target}" ] && [ -n "$(ls -A "${target}")" ]; then
    echo "$0: error: ${target} exists and is not empty; nothing was changed" >&2
    exit 1
fi
mkdir -p "${target}/conf"    # a conf/<scheduler>.conf that is not here is found in the template
target=$(cd "${target}" && pwd -P)
for source in "${template}/"{cmd.sh,path.sh,rules,scripts,superb.sh} "${root}/utils"; do
    name=$(basename "${source}")
    # Relative inside the repository, so that it can be moved as a whole.
    case "${target}/" in "${root}"/*) source=$(realpath -m -s --relative-to="${target}" "${source}") ;; esac
    ln -s "${source}" "${target}/${name}"
done
echo "made ${target}. Next: cd ${target} && ./superb.sh --help"
