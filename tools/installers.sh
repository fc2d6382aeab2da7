# Sourced by setup_env.sh: environments and packages by uv or by pip, progress on the terminal, their own words in a log.
# shellcheck shell=bash disable=SC2154  # log, die and the paths are those of setup_env.sh

# pip_settings <python>: where pip looks for packages other than by default; uv does not read these settings.
pip_settings() { "$1" -m pip config list 2>/dev/null | grep -E "[.:](index-url|extra-index-url|find-links|no-index|constraint)='?[^']" || true; }

# choose_installer <auto|uv|pip> <python>: sets `installer`.
choose_installer() {
    installer=$1
    if [ "$1" = uv ]; then
        command -v uv >/dev/null || die "--installer uv: uv is not on PATH; remedy: pip install uv, or --installer pip"
    elif [ "$1" = auto ]; then
        installer=pip
        if command -v uv >/dev/null; then
            installer=uv
            if [ -n "$(pip_settings "$2")" ]; then
                installer=pip
                log "uv is there, but pip has settings of its own for where packages are (pip config list), which uv does not read:" \
                    "installing with pip; --installer uv takes uv's settings"
            fi
        fi
    fi
}

# make_environment <python>: an empty one in ${venv}.
make_environment() {
    if [ "${installer}" = uv ]; then
        uv venv --seed --allow-existing --python "$1" "${venv}" >>"${install_log}" 2>&1 || die "'uv venv' failed, see ${install_log}"
        return
    fi
    "$1" -m venv "${venv}" >>"${install_log}" 2>&1 ||
        die "'$1 -m venv' failed, see ${install_log}. Debian and Ubuntu keep it in a package of its own (python3-venv);" \
            "without root, take uv (--installer uv), or a Python from conda or pyenv: PYTHON=/path/to/python tools/setup_env.sh"
}

# call_installer <arguments of pip install...>: all it says, on one stream.
call_installer() {
    if [ "${installer}" = uv ]; then
        uv pip install --no-progress --python "${venv}/bin/python" "$@" 2>&1
    else
        "${venv}/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off "$@" 2>>"${install_log}"
    fi
}

# install_packages <what> <arguments of pip install...>: progress on the terminal, everything else in the log.
install_packages() {
    local what=$1 line start=${SECONDS}; shift
    log "installing ${what}"
    {
        echo "== ${installer} install $*"
        call_installer "$@" || echo "failed" >"${unfinished}"
    } | while IFS= read -r line; do
        printf '%s\n' "${line}" >>"${install_log}"
        case "${line}" in
            *Downloading*MB\) | *Downloading*GB\) | *Downloading*MiB\) | *Downloading*GiB\))
                log "  ${line#"${line%%[![:space:]]*}"}" ;;
            "Installing collected packages:"*,*) log "  unpacking $(wc -w <<<"${line#*:}") packages" ;;
            "Prepared "* | "Installed "*) log "  ${line}" ;;
        esac
    done
    if [ -s "${unfinished}" ]; then
        tail -n 15 "${install_log}" >&2
        die "could not install ${what}; the lines above are the end of ${install_log}." \
            "Check the network and the disk ($(df -Ph "${tools}" | awk 'NR == 2 { print $4 }') free), then call again"
    fi
    log "  done in $((SECONDS - start)) s"
}
