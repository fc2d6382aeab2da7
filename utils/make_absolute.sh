#!/usr/bin/env bash
# A path -> the same path, absolute and with its links followed (readlink -f, where there is none).
# Usage: $0 <path>     e.g.: $0 ../corpus

set -euo pipefail

[ $# -eq 1 ] || { echo "Usage: $0 <path>" >&2; exit 1; }
target=$1
unset CDPATH

while true; do
    cd "$(dirname -- "${target}")"
    target=$(basename -- "${target}")
    [ -L "${target}" ] || break
    target=$(readlink "${target}")
done

if [ -d "${target}" ]; then
    cd "${target}"
    pwd -P
else
    folder=$(pwd -P)
    echo "${folder%/}/${target}"
fi
