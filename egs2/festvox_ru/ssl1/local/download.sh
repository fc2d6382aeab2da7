#!/usr/bin/env bash
# The name of a folder in, <folder>/festvox_ru out: Debian's package festvox-ru, fetched and unpacked without root.
#
# Usage: $0 <folder>        e.g.: $0 downloads
# A package that lies in <folder> already (festvox-ru_*.deb, from any Debian mirror) is used as it is.
set -euo pipefail

. utils/log.sh
. utils/parse_options.sh
[ $# -eq 1 ] || die "expected one folder; e.g.: $0 downloads"
folder=$1
# shellcheck disable=SC1091
if [ -e path.sh ]; then . ./path.sh; fi

# Version 0.5+dfsg-6 as Debian built it. Other distributions build the same files anew: prepare.py checks the contents.
package_sha256=21ef3f0f2978ecf2e2eddb367cb0ff4a72572196d28dc69feb84f4177af5e6c4
apt_helper=/usr/lib/apt/apt-helper
partial="${folder}/.festvox_ru_partial"

no_apt() {
    die "$1. Take festvox-ru_0.5+dfsg-6_all.deb (package 'festvox-ru', 178 MB) from a Debian mirror, put it into" \
        "$(readlink -f "${folder}")/ and run again; or pass --festvox_ru_root with the folder of a copy that you have"
}

# apt's own lists where they have the package, else lists of our own: neither needs root.
fetch() {
    command -v apt-get > /dev/null && [ -x "${apt_helper}" ] || no_apt "this machine has no apt"
    local options=(-o "APT::Sandbox::User=$(id -un)") # no warning where root owns the folder
    if ! apt-cache show festvox-ru > /dev/null 2>&1; then
        log "apt's lists do not have festvox-ru: fetching lists into ${partial}/apt"
        mkdir -p "${partial}/apt/lists/partial" "${partial}/apt/cache/archives/partial"
        options+=(-o "Dir::State::lists=$(readlink -f "${partial}/apt/lists")"
                  -o "Dir::Cache=$(readlink -f "${partial}/apt/cache")")
        apt-get "${options[@]}" update > "${partial}/apt/log" 2>&1 \
            || no_apt "apt-get update failed ($(tail -n 1 "${partial}/apt/log"))"
    fi
    local uri name checksum
    read -r uri name _ checksum < <(apt-get "${options[@]}" --print-uris download festvox-ru | tail -n 1) \
        || no_apt "apt-get does not know the package festvox-ru"
    log "fetching ${name} (178 MB) with apt"
    # Unlike "apt-get download" this goes on with a partial file, if the mirror can; it verifies apt's own checksum.
    "${apt_helper}" "${options[@]}" download-file "${uri//\'/}" "${partial}/${name}" "${checksum}" \
        || no_apt "apt could not fetch ${name}"
}

mkdir -p "${partial}"
if ! compgen -G "${folder}/festvox-ru_*.deb" > /dev/null; then
    fetch
fi
shopt -s nullglob
packages=("${folder}"/festvox-ru_*.deb "${partial}"/festvox-ru_*.deb)
package="${packages[0]}"
if ! echo "${package_sha256}  ${package}" | sha256sum --check --status; then
    log "${package}: another build than Debian's 0.5+dfsg-6; its contents are checked after unpacking"
fi
log "unpacking ${package}"
rm -rf "${partial}/festvox_ru"
python3 local/unpack_deb.py "${package}" "${partial}/festvox_ru"
mv "${partial}/festvox_ru" "${folder}/festvox_ru" # only a complete corpus takes the final name
rm -rf "${partial}"
