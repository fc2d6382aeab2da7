# Sourced by scripts that start array jobs: how many jobs a set is worth.
# shellcheck shell=bash

# fewer_jobs <jobs> <dump set>...: at most one job for each begun 32 utterances; loading PyTorch takes longer than these.
fewer_jobs() {
    local jobs=$1 utterances
    shift
    utterances=$(cat "${@/%//wav.scp}" | wc -l)
    if [ "${jobs}" -gt $(((utterances + 31) / 32)) ]; then jobs=$(((utterances + 31) / 32)); fi
    echo "${jobs}"
}
