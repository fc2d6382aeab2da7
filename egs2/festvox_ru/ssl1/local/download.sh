#!/usr/bin/env bash
# The name of a folder in, <folder>/festvox_ru out: Debian's package festvox-ru, fetched and unpacked without root.
#
# Usage: $0 <folder>        e.g.: $0 downloads
# A package that lies in <folder> already (festvox-ru_*.deb, from any Debian mirror) is used as it is, and stays.
set -euo pipefail

. utils/log.sh
. utils/parse_options.sh
[ $# -eq 1 ] || die "expected one folder; e.g.: $0 downloads"
folder=$1
# shellcheck disable=SC1091
if [ -e path.sh ]; then . ./path.sh; fi

# Version 0.5+dfsg-6 as Debian built it. Other distributions build the same files anew: prepare.py checks the contents.
package_sha256=21ef3f0f2978ecf2e2eddb367cb0ff4a72572196d28dc69feb84f4177af5e6c4
partial="${folder}/.festvox_ru_partial"

keep_package=true
compgen -G "${folder}/festvox-ru_*.deb" > /dev/null || keep_package=false
utils/fetch_deb.sh "${folder}" festvox-ru \
    || die "festvox-ru is not here (see above); or pass --festvox_ru_root with the folder of a copy that you have"
packages=("${folder}"/festvox-ru_*.deb)
package="${packages[0]}"
if ! echo "${package_sha256}  ${package}" | sha256sum --check --status; then
    log "${package}: another build than Debian's 0.5+dfsg-6; its contents are checked after unpacking"
fi
log "unpacking ${package}"
rm -rf "${partial}"
mkdir -p "${partial}"
python3 local/unpack_deb.py "${package}" "${partial}/festvox_ru"
mv "${partial}/festvox_ru" "${folder}/festvox_ru" # only a complete corpus takes the final name
rm -rf "${partial}"
"${keep_package}" || rm "${package}"
