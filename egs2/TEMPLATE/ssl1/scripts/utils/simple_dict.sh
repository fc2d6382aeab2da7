# shellcheck shell=bash disable=SC2178
# Sourced: named dictionaries of single words, under the names that ESPnet's recipes call.
#
# dict_init <dict>; dict_put <dict> <key> <value>; dict_get <dict> <key>; dict_remove <dict> <key>; dict_keys <dict>;
# dict_values <dict>: in the order of the keys. They live in the shell that sources this file.

_dict_fail() { echo "simple_dict.sh: $*" >&2; exit 1; }

# _dict_check <wanted number> <given number> <word>...: the words are names without blanks and slashes.
_dict_check() {
    local word
    [ "$1" -eq "$2" ] || _dict_fail "expected $1 arguments, got $2"
    shift 2
    for word in "$@"; do
        case ${word} in '' | *[[:space:]/]*) _dict_fail "a name is a word without blanks and slashes, got '${word}'" ;; esac
    done
}

# _dict_has <dict>: it was made by dict_init.
_dict_has() { declare -p "_dict_of_${1//[^A-Za-z0-9_]/_}" > /dev/null 2>&1 || _dict_fail "no dictionary '$1': dict_init $1"; }

dict_init() {
    _dict_check 1 $# "$@"
    local name=_dict_of_${1//[^A-Za-z0-9_]/_}
    ! declare -p "${name}" > /dev/null 2>&1 || _dict_fail "the dictionary '$1' is there already"
    declare -gA "${name}=()"
}

dict_put() {
    _dict_check 3 $# "$@"
    _dict_has "$1"
    declare -n _dict=_dict_of_${1//[^A-Za-z0-9_]/_}
    _dict[$2]=$3
}

dict_get() {
    _dict_check 2 $# "$@"
    _dict_has "$1"
    declare -n _dict=_dict_of_${1//[^A-Za-z0-9_]/_}
    [ -n "${_dict[$2]+set}" ] || { echo "simple_dict.sh: $1 has no '$2'" >&2; return 1; }
    echo "${_dict[$2]}"
}

dict_remove() {
    _dict_check 2 $# "$@"
    _dict_has "$1"
    declare -n _dict=_dict_of_${1//[^A-Za-z0-9_]/_}
    unset "_dict[$2]"
}

dict_keys() {
    _dict_check 1 $# "$@"
    _dict_has "$1"
    declare -n _dict=_dict_of_${1//[^A-Za-z0-9_]/_}
    printf '%s\n' "${!_dict[@]}" | LC_ALL=C sort | paste -sd ' '
}

dict_values() {
    local key words=()
    for key in $(dict_keys "$@"); do words+=("$(dict_get "$1" "${key}")"); done
    echo "${words[*]}"
}
