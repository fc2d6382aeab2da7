#!/usr/bin/env bash
# Stage 1: runs local/data.sh, whoever wrote it; where it fails, says what it needs that is not here.
# Usage: scripts/corpus/run_data.sh [options of local/data.sh]
set -euo pipefail

. utils/log.sh
[ -s local/data.sh ] || die "local/data.sh is missing: write it (it makes data/<set>; see CONTRIBUTING.md)"
command=(local/data.sh)
if [ ! -x local/data.sh ]; then
    log "local/data.sh is not executable: it is run with bash"
    command=(bash local/data.sh)
fi
status=0
"${command[@]}" "$@" || status=$?
[ "${status}" -eq 0 ] || utils/check_recipe.sh --hint . >&2 || true
exit "${status}"
