#!/usr/bin/env bash
# The AISHELL-1 corpus in, data/{train,dev,test} out: 178 hours of read Mandarin, 400 speakers.
#
# Usage: $0 [options]        e.g.: $0 --aishell_root /corpora/data_aishell
# Without a copy of your own (option, or AISHELL in db.sh) it is fetched from openslr.org into downloads/: 15.6 GB, and 19 GB
# unpacked. A download that was stopped goes on.
set -euo pipefail

aishell_root=                 # folder data_aishell, or the folder it lies in
download_url=                 # another mirror of openslr.org/resources/33
download_md5=                 # MD5 of another archive than the published one; "none": not verified
download=true                 # false: never fetch anything
nj=4                          # folders to read at a time

. utils/parse_options.sh
. scripts/corpus/start.sh

root="${aishell_root:-${AISHELL:-}}"
if [ -z "${root}" ] || [ "${root}" = downloads ]; then
    [ "${download}" = true ] || die "--aishell_root is required with --download false: the folder of AISHELL-1"
    root=downloads
    for fetched in ../*/downloads; do # the other recipe may have fetched it
        if [ -d "${fetched}/data_aishell/wav/train" ]; then root="${fetched}"; fi
    done
    python3 local/download.py ${download_url:+--url "${download_url}"} \
        ${download_md5:+--md5 "${download_md5#none}"} "${root}"
fi
prepare_sets "train dev test" --work data/.work --nj "${nj}"
