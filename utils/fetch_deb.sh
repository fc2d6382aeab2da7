#!/usr/bin/env bash
# Names of Debian packages in, <folder>/<package>_*.deb out: fetched with apt, without root; what is there is left alone.
#
# Usage: $0 <folder> <package>...        e.g.: $0 downloads festvox-ru
# A stopped download goes on where it was, if the mirror can; apt verifies each package.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/log.sh"
. "$(dirname "${BASH_SOURCE[0]}")/parse_options.sh"
[ $# -ge 2 ] || die "expected a folder and packages; e.g.: $0 downloads festvox-ru"
folder=$1
shift

apt_helper=$(command -v apt-helper || echo /usr/lib/apt/apt-helper)
partial="${folder}/.fetch_deb_partial"
options=(-o "APT::Sandbox::User=$(id -un)") # no warning where root owns the folder

no_apt() {
    die "$1. Take ${missing[*]} from a Debian mirror (https://packages.debian.org/<package>), put the .deb files into" \
        "$(readlink -f "${folder}")/ and run again"
}

# One line per package: '<uri>' <file> <bytes> <checksum>
list_uris() { apt-get "${options[@]}" --print-uris download "${missing[@]}" 2> "${partial}/log" | grep "^'"; }

missing=()
mkdir -p "${partial}"
for package in "$@"; do
    compgen -G "${folder}/${package}_*.deb" > /dev/null || missing+=("${package}")
done
if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get > /dev/null && [ -x "${apt_helper}" ] || no_apt "this machine has no apt"
    if ! uris=$(list_uris); then # apt's own lists do not have them: lists of our own, which need no root either
        log "apt's lists do not have ${missing[*]}: fetching lists into ${partial}/apt"
        mkdir -p "${partial}/apt/lists/partial" "${partial}/apt/cache/archives/partial"
        options+=(-o "Dir::State::lists=$(readlink -f "${partial}/apt/lists")"
                  -o "Dir::Cache=$(readlink -f "${partial}/apt/cache")")
        apt-get "${options[@]}" update > "${partial}/log" 2>&1 \
            || no_apt "apt-get update failed ($(tail -n 1 "${partial}/log"))"
        uris=$(list_uris) || no_apt "apt-get does not know a package ($(tail -n 1 "${partial}/log"))"
    fi
    while read -r uri name size checksum; do
        log "fetching ${name} ($(((size + 500000) / 1000000)) MB) with apt"
        # Unlike "apt-get download" this goes on with a partial file, if the mirror can; it verifies apt's own checksum.
        "${apt_helper}" "${options[@]}" download-file "${uri//\'/}" "${partial}/${name}" "${checksum}" < /dev/null \
            || no_apt "apt could not fetch ${name}"
        mv "${partial}/${name}" "${folder}/${name}" # only a whole package takes the final name
    done <<< "${uris}"
fi
rm -rf "${partial}"
