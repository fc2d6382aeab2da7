# Sourced by the scripts that start schedulers: which process a pid file means, and its end. Nothing else is ever ended.
# shellcheck shell=bash

PATH=${PATH}:/usr/sbin:/sbin

# alive <pid file> <program>: prints the process if it lives and really is that program.
alive() {
    local process
    process=$(cat "$1" 2> /dev/null) || return 1
    [ -n "${process}" ] && [ "$(cat "/proc/${process}/comm" 2> /dev/null)" = "$2" ] && echo "${process}"
}

# end <pid file> <program> [<signal>]: TERM (or the signal), ten seconds, KILL.
end() {
    local process
    process=$(alive "$1" "$2") || return 0
    kill -s "${3:-TERM}" "${process}" 2> /dev/null || true
    for _ in $(seq 100); do
        kill -0 "${process}" 2> /dev/null || return 0
        sleep 0.1
    done
    kill -s KILL "${process}" 2> /dev/null || true
}

# until_true <seconds> <command>...: try five times a second.
until_true() {
    local tries=$(($1 * 5))
    shift
    for _ in $(seq "${tries}"); do
        "$@" > /dev/null 2>&1 && return 0
        sleep 0.2
    done
    return 1
}
