# Sourced by every recipe script (`. ./path.sh`): finds the toolkit and its Python -> PATH, PYTHONPATH, MAIN_ROOT.
#
# A recipe may lie anywhere as long as its path.sh is a link to this file. Python is, in this order: the environment
# you have active (VIRTUAL_ENV or CONDA_PREFIX) if it has torch; tools/venv, which `make env` builds; `python` on PATH
# if it has torch. A tree that `espnet2-ssl recipe` made runs with the package and the Python that made it.

_path_sh_has_torch() {
    "$1" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)' 2>/dev/null
}

# _path_sh_prepend <variable> <folder>: first and once only (scripts that call scripts source this file again), and
# never an empty entry, which would mean the current folder.
_path_sh_prepend() {
    local others=":${!1:-}:"
    others=${others//":$2:"/:}
    others=${others#:}
    others=${others%:}
    export "$1=$2${others:+:${others}}"
}

# _path_sh_installed <file>: the Python that a tree of an installed package names, first on PATH.
_path_sh_installed() {
    local python version recipes
    python=$(< "$1")
    if [ "${_PATH_SH_CHECKED:-}" != "${python}" ]; then    # once, not in every script
        recipes=$(cat "${MAIN_ROOT}/.recipes_version" 2>/dev/null)
        if ! version=$("${python}" -c 'import importlib.metadata as m; print(m.version("espnet2-ssl"))' 2>/dev/null); then
            echo "path.sh: error: ${python} does not run or has no espnet2-ssl any more; write the path of a Python that" \
                "has it into $1" >&2
            return 1
        fi
        [ "${version}" = "${recipes}" ] ||
            echo "path.sh: warning: these recipes are of espnet2-ssl ${recipes}, installed is ${version}:" \
                "'espnet2-ssl recipe <new folder>' writes those of ${version}" >&2
        export _PATH_SH_CHECKED=${python}
    fi
    _path_sh_prepend PATH "$(dirname "${python}")"
}

_path_sh_main() {
    local here active venv
    here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
    MAIN_ROOT=$(cd "${here}/../../.." && pwd -P)
    if [ ! -f "${MAIN_ROOT}/espnet2/__init__.py" ] && [ ! -f "${MAIN_ROOT}/.installed_python" ]; then
        echo "path.sh: error: no toolkit around ${here}: path.sh must be a link to egs2/TEMPLATE/ssl1/path.sh," \
            "not a copy (egs2/TEMPLATE/ssl1/setup.sh makes recipes)" >&2
        return 1
    fi
    export MAIN_ROOT

    active=${VIRTUAL_ENV:-${CONDA_PREFIX:-}}
    venv=${MAIN_ROOT}/tools/venv
    if [ -f "${MAIN_ROOT}/.installed_python" ]; then
        _path_sh_installed "${MAIN_ROOT}/.installed_python" || return 1
    elif [ -n "${active}" ] && [ "${active}" != "${venv}" ] && _path_sh_has_torch "${active}/bin/python"; then
        _path_sh_prepend PATH "${active}/bin"
    elif [ -x "${venv}/bin/python" ] && [ ! -e "${venv}/.unfinished" ]; then
        export VIRTUAL_ENV=${venv}
        _path_sh_prepend PATH "${venv}/bin"
    elif ! _path_sh_has_torch python; then
        echo "path.sh: error: no Python with torch found: ${venv} is missing or unfinished, and no environment with" \
            "torch is active. Build it with 'make env' (or tools/setup_env.sh) in ${MAIN_ROOT}, or activate your own" >&2
        return 1
    fi
    _path_sh_prepend PATH "${MAIN_ROOT}/tools/bin"
    _path_sh_prepend PATH "${MAIN_ROOT}/utils"
    _path_sh_prepend PYTHONPATH "${MAIN_ROOT}"
    # Recipes of Kaldi look below it; a Kaldi of your own may take its place.
    export KALDI_ROOT="${KALDI_ROOT:-${MAIN_ROOT}/tools/kaldi}"
    # Somebody else's toolkit: what Python compiles goes to the user's own cache (utils/python.sh does the same).
    if ! [ -O "${MAIN_ROOT}/espnet2" ]; then
        export PYTHONPYCACHEPREFIX="${PYTHONPYCACHEPREFIX:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/espnet2_ssl/pycache}"
    fi

    export LC_ALL=C                # Kaldi's tables are sorted by bytes
    export PYTHONUTF8=1            # text stays UTF-8 under LC_ALL=C
    export PYTHONUNBUFFERED=1      # logs show a line when it is written
    # One thread per process unless the caller says otherwise: jobs run side by side, and oversubscribed cores are slow.
    export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
    # GNU OpenMP, PyTorch's on Linux: threads that wait give their core up soon. With the default they starve each other
    # when cores are shared. mini HuBERT, two threads on two cores, seconds of audio per second alone / beside one busy
    # program, single trials of 10 to 15 s: 1000: 177 / 88; 100000: 179 / 14; default: 162 to 176 / 54 (3 in one training
    # beside other programs of two threads); asleep at once (OMP_WAIT_POLICY=passive): 128 / 107.
    [ -n "${OMP_WAIT_POLICY:-}" ] || export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-1000}"
}

_path_sh_note() {
    [ -n "${PATH_SH_NOTED:-}" ] || echo "path.sh: note: $*" >&2
    export PATH_SH_NOTED=1         # scripts that call scripts source this file again
}

# local/path.sh of a recipe that comes from ESPnet: taken where it comes to its end and leaves Python as it was.
_path_sh_local() {
    [ -s local/path.sh ] || return 0
    local python path=${PATH} flags=$-
    # shellcheck disable=SC1091
    if [ "$({ . local/path.sh; } > /dev/null 2>&1 < /dev/null; echo "ended with $?")" != "ended with 0" ]; then
        _path_sh_note "local/path.sh is left out: it fails here (bash -x local/path.sh shows where)"
        return 0
    fi
    python=$(command -v python3)
    set +e
    # shellcheck disable=SC1091
    . local/path.sh > /dev/null
    case ${flags} in *e*) set -e ;; esac
    if [ "$(command -v python3)" != "${python}" ]; then
        _path_sh_note "local/path.sh puts another Python first: PATH stays as it was"
        export PATH=${path}
    fi
}

_path_sh_main && _path_sh_local
