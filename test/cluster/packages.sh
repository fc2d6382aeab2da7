#!/usr/bin/env bash
# Names of schedulers, or of a browser -> their Debian packages installed, where this is root on a machine with apt.
#
# Usage: test/cluster/packages.sh slurm|grid_engine|ssh|chromium...    Exit status 3: they are missing and cannot be installed.

set -euo pipefail

declare -A packages=(
    [slurm]="slurmctld slurmd slurm-client munge slurm-wlm-basic-plugins iproute2"
    [grid_engine]="gridengine-master gridengine-exec gridengine-client"
    [ssh]="openssh-server openssh-client"
    [chromium]="chromium-headless-shell"
)
declare -A program=([slurm]=slurmctld [grid_engine]=qconf [ssh]=sshd [chromium]=chromium-headless-shell)

PATH=${PATH}:/usr/sbin:/sbin
missing=()
for name in "$@"; do
    command -v "${program[${name}]}" > /dev/null || missing+=("${name}")
done
[ "${#missing[@]}" -gt 0 ] || exit 0
if [ "${UID}" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "packages.sh: ${missing[*]}: not installed, and only root on Debian or Ubuntu can install them here" >&2
    exit 3
fi

# One installation at a time; no daemon of the system may start.
exec 9> /var/lock/cluster-test-packages.lock
flock 9
policy=/usr/sbin/policy-rc.d
if [ ! -e "${policy}" ]; then
    printf '#!/bin/sh\nexit 101\n' > "${policy}"
    chmod 755 "${policy}"
    trap 'rm -f "${policy}"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
install() { timeout 300 apt-get install -y -q --no-install-recommends "$@" < /dev/null; }
for name in "${missing[@]}"; do
    read -ra names <<< "${packages[${name}]}"
    install "${names[@]}" || { timeout 300 apt-get update -q && install "${names[@]}"; } || {
        echo "packages.sh: apt cannot install ${names[*]}" >&2
        exit 3
    }
done
