# shellcheck shell=bash
# Sourced after the defaults: "--max-seconds 20" sets ${max_seconds}; what is no option stays in "$@".
#
# Every variable that is set already is an option; dashes and underscores are the same. "--config FILE" is sourced
# before the other options, so the command line wins. A variable that holds true or false takes only these.
# "--help" prints ${help_message} or, where it is not set, the comment at the top of the script and its defaults.

_po_fail() { echo "$0: $*" >&2; exit 1; }

# The header comment of the script, then one line per "name=default  # comment" above the call of this file.
_po_help() {
    if [ -n "${help_message+set}" ]; then printf '%s\n' "${help_message}"; return; fi
    local line part=start name value comment
    while IFS= read -r line || [ -n "${line}" ]; do
        case ${part}:${line} in
            start:'#!'*) ;;
            start:'# shellcheck'*) ;;
            start:'#'*) line=${line#'#'}; printf '%s\n' "${line# }" | sed "s|\$0|${0//|/\\|}|g" ;;
            start:*) part=options; printf '\nOptions and their defaults:\n' ;;
            options:*parse_options.sh*) break ;;
            options:*)
                [[ ${line} =~ ^([a-zA-Z_][a-zA-Z0-9_]*)=(.*)$ ]] || continue
                name=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]} comment=
                if [[ " ${value}" =~ ^(.*)[[:space:]]'# '(.*)$ ]]; then
                    value=${BASH_REMATCH[1]} comment=${BASH_REMATCH[2]}
                fi
                read -r value <<< "${value}"
                printf '  --%-32s %s\n' "${name} ${value:-\"\"}" "${comment}" ;;
        esac
    done < "$0"
}

# _po_distance <a> <b>: insertions, deletions and substitutions between two names (Levenshtein).
_po_distance() {
    local a=$1 b=$2 i j cost best previous current
    previous=(); for ((j = 0; j <= ${#b}; j++)); do previous[j]=$j; done
    for ((i = 1; i <= ${#a}; i++)); do
        current=("$i")
        for ((j = 1; j <= ${#b}; j++)); do
            cost=1; [ "${a:i-1:1}" != "${b:j-1:1}" ] || cost=0
            best=$((previous[j - 1] + cost))
            [ "$((previous[j] + 1))" -ge "${best}" ] || best=$((previous[j] + 1))
            [ "$((current[j - 1] + 1))" -ge "${best}" ] || best=$((current[j - 1] + 1))
            current[j]=${best}
        done
        previous=("${current[@]}")
    done
    echo "${previous[${#b}]}"
}

# _po_nearest <name>: the option of this script that was probably meant, or nothing.
_po_nearest() {
    local candidate distance least=$((${#1} / 3 + 2)) nearest=
    for candidate in $(compgen -v); do
        case ${candidate} in [A-Z]* | _* | help_message) continue ;; esac
        ! compgen -e | grep -qx "${candidate}" || continue
        distance=$((${#candidate} - ${#1}))
        [ "${distance#-}" -lt "${least}" ] || continue
        distance=$(_po_distance "$1" "${candidate}")
        [ "${distance}" -ge "${least}" ] || { least=${distance}; nearest=${candidate}; }
    done
    echo "${nearest}"
}

# _po_check <option> <name> <number of words left> <value>: ends the script unless the pair can be set.
_po_check() {
    local near
    case $1 in *=*) _po_fail "options are written '--name value', got '$1'" ;; esac
    if ! [[ $2 =~ ^[a-zA-Z_][a-zA-Z0-9_]*$ && $2 != _po_* ]] || [ -z "${!2+set}" ]; then
        near=$(_po_nearest "$2")
        _po_fail "unknown option $1${near:+; did you mean --${near}?} (--help lists them)"
    fi
    [ "$3" -ge 2 ] || _po_fail "option $1 needs a value"
    case ${!2} in
        true | false) case $4 in true | false) ;; *) _po_fail "option $1 takes true or false, not '$4'" ;; esac ;;
    esac
    if [[ ${!2} =~ ^[0-9]+$ && $4 == --* ]]; then _po_fail "option $1 needs a value, found the option '$4'"; fi
}

config=${config-}
_po_words=("$@")
for ((_po_i = 0; _po_i < ${#_po_words[@]}; _po_i += 2)); do
    case ${_po_words[_po_i]} in
        --help | -h) _po_help; exit 0 ;;
        --config)
            config=${_po_words[_po_i + 1]-}
            [ -r "${config}" ] && [ ! -d "${config}" ] || _po_fail "--config: cannot read the file '${config}'"
            case ${config} in */*) ;; *) config=./${config} ;; esac
            # shellcheck disable=SC1090
            . "${config}" ;;
        -- ) break ;;
        --*) ;;
        *) break ;;
    esac
done

while [[ ${1-} == --* ]]; do
    if [ "$1" = -- ]; then shift; break; fi
    _po_name=${1#--}; _po_name=${_po_name//-/_}
    _po_check "$1" "${_po_name}" $# "${2-}"
    printf -v "${_po_name}" '%s' "$2"
    shift 2
done

# An empty --cmd is nearly always a variable of cmd.sh that is not set.
if [ -n "${cmd+set}" ] && [ -z "${cmd}" ]; then _po_fail "option --cmd is empty (is a variable of cmd.sh not set?)"; fi

unset _po_words _po_i _po_name
unset -f _po_fail _po_help _po_distance _po_nearest _po_check
true
