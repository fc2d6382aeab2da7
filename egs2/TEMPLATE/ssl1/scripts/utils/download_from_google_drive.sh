#!/usr/bin/env bash
# The address of a shared archive on Google Drive -> its content, unpacked into a folder.
# Usage: $0 <share-url> [<download_dir> [<file_ext>]]     e.g.: $0 https://drive.google.com/open?id=1zF8 downloads zip
set -euo pipefail

usage="Usage: $0 <share-url> [<download_dir: downloads> [<file_ext: zip, tar, tar.gz or tgz>]]"
if [ "${1:-}" = --help ]; then echo "${usage}"; exit 0; fi
[ $# -ge 1 ] && [ $# -le 3 ] || { echo "${usage}" >&2; exit 1; }
url=$1
folder=${2:-downloads}
extension=${3:-zip}

# Both forms of address: .../open?id=<id>&... and .../file/d/<id>/view
id=$(sed -nE 's|.*[?&]id=([A-Za-z0-9_-]+).*|\1|p; s|.*/d/([A-Za-z0-9_-]+).*|\1|p' <<< "${url}")
[ -n "${id}" ] || { echo "$0: error: no file id in '${url}'; expected ...?id=<id> or .../d/<id>/..." >&2; exit 1; }
case ${extension} in
    zip) unpack=(unzip -q -o) ;;
    tar | tar.gz | tgz) unpack=(tar -xf) ;;
    *) echo "$0: error: cannot unpack '${extension}'; expected zip, tar, tar.gz or tgz" >&2; exit 1 ;;
esac
command -v gdown > /dev/null || { echo "$0: error: this needs gdown: pip install gdown" >&2; exit 1; }

mkdir -p "${folder}"
archive=$(mktemp "${folder}/download.XXXXXX.${extension}")
trap 'rm -f "${archive}"' EXIT
gdown "${id}" -O "${archive}"
if [ "${extension}" = zip ]; then
    "${unpack[@]}" "${archive}" -d "${folder}"
else
    "${unpack[@]}" "${archive}" -C "${folder}"
fi
echo "$0: unpacked ${url} into ${folder}"
