#!/usr/bin/env bash
# Option blocks in ("name=default  # help"), a --help text out: each option is written once, where it is set.
# Usage: scripts/common/print_options.sh <script> [<sourced options file>...]
set -euo pipefail

[ $# -ge 1 ] || { echo "Usage: $0 <script> [<options file>...]" >&2; exit 2; }
awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$1"
for file in "${@:2}" "$1"; do
    awk '
        /^# --- end of options/ { exit }
        /^# --- / { sub(/^# --- /, ""); printf "\n%s\n", $0; next }
        /^[a-z_0-9]+=.*# / {
            split_at = index($0, "=")
            name = substr($0, 1, split_at - 1)
            rest = substr($0, split_at + 1)
            hash_at = match(rest, / *# /)
            printf "  --%-24s %s [%s]\n", name, substr(rest, hash_at + RLENGTH), substr(rest, 1, hash_at - 1)
        }' "${file}"
done
