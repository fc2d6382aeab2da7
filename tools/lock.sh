#!/usr/bin/env bash
# requirements.txt and constraints.txt -> locked-cuda.txt and locked-cpu.txt: one version and the hashes of every package.
#
# Usage: tools/lock.sh          needs uv on PATH, and a package index; run it after a change of either input.
# tools/setup_env.sh --locked true installs from them. The CPU list has neither torch nor torchaudio nor what only CUDA
# builds of torch need: CPU builds have other hashes on every index.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
command -v uv >/dev/null || { echo "lock.sh: error: uv is not on PATH; remedy: pip install uv" >&2; exit 1; }

# What `make test` installs must fit together on every Python, too: a pin that has left one behind is an error here.
for version in 3.10 3.12 3.14; do
    uv pip compile --quiet --python-version "${version}" requirements.txt requirements-test.txt -c constraints.txt >/dev/null
done
options=(--quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.10)
new=$(mktemp -d ./.lock.XXXXXX)
trap 'rm -rf "${new}"' EXIT
uv pip compile "${options[@]}" requirements.txt -c constraints.txt -o "${new}/cuda" >/dev/null
# An entry is a line that does not begin with a blank, and the lines of its hashes.
awk '/^[^ ]/ { keep = $0 !~ /^(torch|torchaudio|triton|cuda-[a-z]+|nvidia-[a-z0-9-]+)==/ } keep' "${new}/cuda" >"${new}/cpu"
for kind in cuda cpu; do
    {
        echo "# Made by tools/lock.sh of requirements.txt and constraints.txt. Do not edit."
        cat "${new}/${kind}"
    } >"${new}/${kind}.txt"
    mv "${new}/${kind}.txt" "locked-${kind}.txt"
done
echo "lock.sh: locked-cuda.txt has $(grep -c '==' locked-cuda.txt) packages, locked-cpu.txt $(grep -c '==' locked-cpu.txt)"
