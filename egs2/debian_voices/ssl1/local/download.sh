#!/usr/bin/env bash
# The name of a folder in, <folder>/debian_voices out: six Debian packages, fetched and unpacked without root.
#
# Usage: $0 <folder>        e.g.: $0 downloads
# Packages that lie in <folder> already (<package>_*.deb, from any Debian mirror) are used as they are, and stay.
set -euo pipefail

. utils/log.sh
. utils/parse_options.sh
[ $# -eq 1 ] || die "expected one folder; e.g.: $0 downloads"
folder=$1

packages=(tuxpaint-stamps-default asterisk-core-sounds-{en,es,fr,it,ru}-g722)
other="or pass --debian_voices_root with a folder into which ${packages[*]} were unpacked"
new="${folder}/.debian_voices_new"
command -v dpkg-deb > /dev/null || die "unpacking needs the program dpkg-deb (package 'dpkg' of most distributions); ${other}"
shopt -s nullglob
own=("${folder}"/*.deb)
utils/fetch_deb.sh "${folder}" "${packages[@]}" || die "the packages are not all here (see above); ${other}"
rm -rf "${new}"
mkdir -p "${new}"
for package in "${packages[@]}"; do
    found=("${folder}/${package}"_*.deb)
    log "unpacking ${found[0]}"
    dpkg-deb -x "${found[0]}" "${new}" || die "${found[0]}: cannot be unpacked; delete it and run again to fetch it anew"
done
mv "${new}" "${folder}/debian_voices" # only a complete corpus takes the final name
for file in "${folder}"/*.deb; do
    [[ " ${own[*]} " == *" ${file} "* ]] || rm "${file}"
done
