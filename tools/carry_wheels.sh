#!/usr/bin/env bash
# A Python version and a platform -> tools/carried/python<version>: what benchmark/gpu.py needs beside PyTorch, unpacked.
#
# Usage: tools/carry_wheels.sh [--python_version 3.12] [--platform manylinux_2_28_x86_64] [--output FOLDER]
#   --python_version V   of the machine without a network, 3.10 to 3.14         (default: 3.12)
#   --platform P         as in the names of wheels; glibc 2.28 or newer         (default: manylinux_2_28_x86_64)
#   --output FOLDER      the folder that benchmark/gpu.py looks into by itself  (default: tools/carried/python<V>)
#   PYTHON=/path/to/python  whose pip downloads                                 (default: tools/venv's, else python3)
# e.g.:  tools/carry_wheels.sh --python_version 3.11, then copy the repository with tools/carried to that machine
#
# The machine is expected to have torch, torchaudio, transformers, numpy and scikit-learn, with what they need themselves.
# Versions are those of tools/requirements.txt and tools/constraints.txt. About 30 MB.

set -euo pipefail

# What training imports and what torch and transformers do not bring; benchmark/carried.py names the modules.
packages=(soundfile cffi pycparser soxr pydantic pydantic-core annotated-types typing-inspection typing-extensions
    pyyaml safetensors tensorboard protobuf absl-py)

python_version=3.12
platform=manylinux_2_28_x86_64
output=

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)

die() { echo "carry_wheels: error: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
    case "$1" in
        --help | -h) sed -n '2,/^$/{/^#/!d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        --python_version | --platform | --output)
            [ $# -ge 2 ] || die "$1 needs a value; --help shows the options"
            printf -v "${1#--}" '%s' "$2"; shift 2 ;;
        *) die "unknown option $1; known options are --python_version, --platform, --output and --help" ;;
    esac
done
[[ ${python_version} =~ ^3\.1[0-4]$ ]] || die "--python_version is 3.10 to 3.14, got '${python_version}'"
output=${output:-${tools}/carried/python${python_version}}
python=${PYTHON:-${tools}/venv/bin/python}
[ -n "${PYTHON:-}" ] || [ -x "${python}" ] || python=python3

# pin <package>: name==version of the tested one. Markers of the pinned lists are python_version < or >= "3.11" alone.
pin() {
    local other='<'
    [ "${python_version}" != 3.10 ] || other='>='
    awk -F '; *' -v name="$1==" -v other="python_version ${other} " \
        'index($1, name) == 1 && index($2, other) != 1 { print $1; exit }' "${tools}/requirements.txt" "${tools}/constraints.txt"
}

pins=()
for package in "${packages[@]}"; do
    version=$(pin "${package}")
    [ -n "${version}" ] || die "tools/requirements.txt and tools/constraints.txt pin no ${package}"
    pins+=("${version}")
done
rm -rf "${output}.unfinished"
"${python}" -m pip install --disable-pip-version-check --no-input --quiet --no-deps --only-binary :all: --no-compile \
    --implementation cp --python-version "${python_version}" --platform "${platform}" \
    --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 --target "${output}.unfinished" "${pins[@]}" ||
    die "pip could not fetch these for Python ${python_version} on ${platform}: ${pins[*]}"
rm -rf "${output}"
mv "${output}.unfinished" "${output}"
echo "carry_wheels: $(du -sh "${output}" | cut -f 1) in ${output}: ${pins[*]}"
