#!/usr/bin/env bash
# A Python that has PyTorch -> benchmark/gpu.py run with it; what `make bench-gpu` calls.
#
# Usage: benchmark/gpu.sh [--which true] [options of benchmark/gpu.py]
#   --which true   only print the Python that would run it
#   PYTHON=/path/to/python   to run it with    (default: tools/venv's, else the first python3 that imports torch)
# e.g.:  benchmark/gpu.sh --skip units,resume
#
# Nothing is installed where torch can be imported. Elsewhere tools/setup_env.sh builds tools/venv first.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv_python=${root}/tools/venv/bin/python

case "${1:-}" in
    --help | -h) sed -n '2,/^$/{/^#/!d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
esac
which=false
if [ "${1:-}" = --which ]; then
    [ $# -ge 2 ] || { echo "gpu.sh: error: --which needs a value; --help shows the options" >&2; exit 2; }
    which=$2
    shift 2
fi

has_torch() { command -v "$1" >/dev/null && "$1" -c 'import torch' 2>/dev/null; }

# find_python: one that has torch, or nothing.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"${PYTHON}"} "${venv_python}" python3 python3.12 python3.11 python3.10 python; do
        if has_torch "${candidate}"; then command -v "${candidate}"; return; fi
    done
}

python=$(find_python)
if [ -z "${python}" ]; then
    [ "${which}" = false ] || { echo "gpu.sh: error: no Python here has torch" >&2; exit 1; }
    "${root}/tools/setup_env.sh" --with_test true
    python=${venv_python}
fi
if [ "${which}" = true ]; then echo "${python}"; exit 0; fi
exec "${python}" "${root}/benchmark/gpu.py" "$@"
