# Sourced by scripts that start array jobs: how many jobs a set is worth, and how far they are.
# shellcheck shell=bash

progress_seconds=${progress_seconds:-30}    # between two lines about jobs that are at work

# fewer_jobs <jobs> <dump set>...: at most one job for each begun 32 utterances; loading PyTorch takes longer than these.
fewer_jobs() {
    local jobs=$1 utterances
    shift
    utterances=$(cat "${@/%//wav.scp}" | wc -l)
    if [ "${jobs}" -gt $(((utterances + 31) / 32)) ]; then jobs=$(((utterances + 31) / 32)); fi
    echo "${jobs}"
}

# literal <word>...: literal_words are what the shell of a job reads as exactly these words. run.pl and the others pass a
# word without blanks on as it stands, so that $variables act there: a folder's name may hold a $ or a quote.
literal() {
    local word hex
    literal_words=()
    for word in "$@"; do
        if ! [[ ${word} =~ ^[a-zA-Z0-9_@%+=:,./-]*$ ]]; then
            hex=$(printf '%s' "${word}" | od -An -v -tx1 | tr -d '\n' | sed 's/ /\\x/g')
            word="\$'${hex//'\x4a\x4f\x42'/JOB}'"    # JOB stays the number of the task
        fi
        literal_words+=("${word}")
    done
}

# watched <log, with JOB for the number> <command>...: run jobs; say now and then how far they are. Gives their status.
watched() {
    local log_pattern=$1 watcher status=0
    shift
    watch_logs "${log_pattern}" &
    watcher=$!
    "$@" || status=$?
    # SIGTERM would not do where whoever started us ignores it: children inherit that, and this would wait for ever.
    { kill -KILL "${watcher}" && wait "${watcher}"; } 2> /dev/null || true
    return "${status}"
}

# watch_logs <log pattern>: until this script ends. The sleep holds no stream open, so that nobody waits for it.
watch_logs() {
    local line said='' files
    while sleep "${progress_seconds}" &> /dev/null; do
        kill -0 $$ 2> /dev/null || return 0
        mapfile -t files < <(compgen -G "${1//JOB/*}")
        line=$(progress_of "${files[@]}")
        [ -z "${line}" ] || [ "${line}" = "${said}" ] || log "${line}"
        said=${line}
    done
}

# progress_of <log>...: the last line of the job that has longest to go; nothing where none has said anything.
progress_of() {
    [ $# -gt 0 ] || return 0
    tail -qn 1 -- "$@" 2> /dev/null | awk '
        /^#/ || !NF { next }
        {
            left = match($0, /[0-9]+ s left/) ? substr($0, RSTART) + 0 : 0
            if (left >= most) { most = left; line = $0 }
            jobs++
        }
        END { if (jobs) print line (jobs > 1 ? " (the last of " jobs " jobs at work)" : "") }'
}
