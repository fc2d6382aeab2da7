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
kept=("${folder}"/*.deb)
utils/fetch_deb.sh "${folder}" "${packages[@]}" || die "the packages are not all here (see above); ${other}"
rm -rf "${new}"
mkdir -p "${new}"
for package in "${packages[@]}"; do
    builds=("${folder}/${package}"_*.deb)
    log "unpacking ${builds[0]}"
    dpkg-deb -x "${builds[0]}" "${new}" || die "${builds[0]}: cannot be unpacked; delete it and run again to fetch it anew"
done
mv "${new}" "${folder}/debian_voices" # only a complete corpus takes the final name
for file in "${folder}"/*.deb; do
    [[ " ${kept[*]} " == *" ${file} "* ]] || rm "${file}"
done
