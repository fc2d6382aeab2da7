#!/usr/bin/env bash
# Pinned requirement files -> tools/venv, the environment every recipe finds by itself.
#
# Usage: tools/setup_env.sh [--with_test true] [--torch_index_url URL] [--installer uv] [--locked true]
#   --with_test true        also install what `make test` needs          (default: false)
#   --torch_index_url URL   package index for torch and torchaudio only: a CPU-only or another CUDA build
#                           (default: none, pip's own configuration decides)
#   --installer auto        uv, which is faster, where it is on PATH and pip has no package index of its own; else pip.
#                           uv or pip: that one                          (default: auto)
#   --locked true           the very files of tools/locked-*.txt, compared by hash; torch and torchaudio of another
#                           index excepted                               (default: false)
#   PYTHON=/path/to/python  the Python to build with, 3.10 to 3.14       (default: the first that fits on PATH)
# e.g.:  PYTHON=python3.12 tools/setup_env.sh
#
# A second call returns at once while the requirement files are unchanged. The installer's output goes to tools/setup_env.log.

set -euo pipefail

with_test=false
torch_index_url=
installer=auto
locked=false

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(dirname "${tools}")
venv=${tools}/venv
install_log=${tools}/setup_env.log
unfinished=${venv}/.unfinished    # path.sh takes no environment that has this file

log() { echo "setup_env: $*"; }
die() { echo "setup_env: error: $*" >&2; exit 1; }
# shellcheck source=tools/installers.sh
. "${tools}/installers.sh"

while [ $# -gt 0 ]; do
    case "$1" in
        --help | -h) sed -n '2,/^$/{/^#/!d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        --with_test | --torch_index_url | --installer | --locked)
            [ $# -ge 2 ] || die "$1 needs a value; --help shows the options"
            printf -v "${1#--}" '%s' "$2"; shift 2 ;;
        *) die "unknown option $1; known options are --with_test, --torch_index_url, --installer, --locked and --help" ;;
    esac
done
case "${with_test}" in true | false) ;; *) die "--with_test is true or false, got '${with_test}'" ;; esac
case "${locked}" in true | false) ;; *) die "--locked is true or false, got '${locked}'" ;; esac
case "${installer}" in auto | uv | pip) ;; *) die "--installer is auto, uv or pip, got '${installer}'" ;; esac

groups=(requirements)
[ "${locked}" = false ] || groups=("locked-$([ -n "${torch_index_url}" ] && echo cpu || echo cuda)")
[ "${with_test}" = false ] || groups+=(requirements-test)

# wanted_state <group>: everything the installed group depends on. A changed byte means another installation.
wanted_state() {
    echo "root: ${root}, torch index: ${torch_index_url:-any}"
    cat "${tools}/$1.txt" "${tools}/constraints.txt" "${root}/setup.py"
}
is_installed() { cmp -s <(wanted_state "$1") "${venv}/.installed-$1"; }
all_installed() {
    local group
    [ -x "${venv}/bin/python" ] && [ ! -e "${unfinished}" ] || return 1
    for group in "${groups[@]}"; do is_installed "${group}" || return 1; done
}

# fits <python>: torch 2.13 has wheels for 3.10 to 3.14.
fits() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; }

find_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        fits "${PYTHON}" ||
            die "PYTHON=${PYTHON} does not run or is not Python 3.10 to 3.14 ($("${PYTHON}" --version 2>&1 || true))"
        command -v "${PYTHON}"
        return
    fi
    for candidate in python3 python3.12 python3.11 python3.13 python3.10 python3.14 python; do
        if fits "${candidate}"; then command -v "${candidate}"; return; fi
    done
    die "no Python 3.10 to 3.14 on PATH (python3 is: $(python3 --version 2>&1 || true)); install one" \
        "(no root needed: conda or pyenv) and call again with PYTHON=/path/to/python"
}

# must_start_anew: an interrupted build, a moved repository or a base Python that is gone leave nothing to build upon.
must_start_anew() {
    local recorded
    [ ! -e "${unfinished}" ] || return 0
    [ -x "${venv}/bin/python" ] && fits "${venv}/bin/python" || return 0
    recorded=$(cat "${venv}"/.installed-* 2>/dev/null | head -n 1)
    [ -n "${recorded}" ] || return 1
    [ "${recorded%, torch index:*}" != "root: ${root}" ]
}

create_venv() {
    log "creating ${venv} with ${python} ($("${python}" --version 2>&1))"
    rm -rf "${venv}"
    mkdir "${venv}" && touch "${unfinished}"
    make_environment "${python}"
}

if ! all_installed && command -v flock >/dev/null; then    # make demo and make test at once take turns
    exec 9>"${tools}/setup_env.lock"
    flock 9
fi
if all_installed; then
    log "${venv} is up to date"
    exit 0
fi
: >"${install_log}"
if must_start_anew; then python=$(find_python); else python=${venv}/bin/python; fi
choose_installer "${installer}" "${python}"
if must_start_anew; then create_venv; else touch "${unfinished}"; fi

if [ -n "${torch_index_url}" ]; then
    mapfile -t torch_pins < <(grep -E '^(torch|torchaudio)==' "${tools}/requirements.txt")
    install_packages "torch and torchaudio" --index-url "${torch_index_url}" "${torch_pins[@]}"
fi
for group in "${groups[@]}"; do
    how=(-c "${tools}/constraints.txt")
    [[ ${group} != locked-* ]] || how=(--require-hashes --no-deps)    # every package is in the list
    install_packages "tools/${group}.txt (see tools/setup_env.log)" -r "${tools}/${group}.txt" "${how[@]}"
done
install_packages "the toolkit itself (editable)" --no-deps --no-build-isolation -e "${root}"
"${venv}/bin/python" "${tools}/repair_torchaudio.py" --owned_environment "${venv}"
for group in "${groups[@]}"; do wanted_state "${group}" >"${venv}/.installed-${group}"; done
rm "${unfinished}"
log "${venv} is ready (${SECONDS} s); tools/check_install.py shows what works"
