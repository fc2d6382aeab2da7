# shellcheck shell=bash disable=SC2154
# Sourced by every script: log, die, in_stage. in_stage needs ${stage} and ${stop_stage}.

# log <message>: one line on standard error, with the time and the script.
log() { printf '%(%F %T)T %s: %s\n' -1 "${0##*/}" "$*" >&2; }

# die <message>: one clear error, then the end.
die() { log "error: $*"; exit 1; }

# in_stage <number> <title "in -> out">: true, and logged, when --stage..--stop_stage covers it.
in_stage() {
    [ "${stage}" -le "$1" ] && [ "${stop_stage}" -ge "$1" ] || return 1
    log "stage $1: $2"
}
