#!/usr/bin/env bash
# LibriSpeech in, data/{train_960,dev,...} out: one set for each part, and the joined ones; phone times from alignments.
#
# Usage: $0 [options]        e.g.: $0 --librispeech_root /corpora/LibriSpeech --alignments /corpora/librispeech_alignments
# Without a copy of your own (option, or LIBRISPEECH in db.sh) the parts are fetched into downloads/.
set -euo pipefail

librispeech_root=             # folder with train-clean-100/, dev-clean/ and so on, or the folder LibriSpeech lies in
parts="train-clean-100 train-clean-360 train-other-500 dev-clean dev-other test-clean test-other"   # or a,b,c
alignments=                   # folder of published .TextGrid or .lab files; "download" fetches those of Zenodo 2619474
download=true                 # false: never fetch anything
nj=4                          # folders to read, and files to parse, at a time

. utils/parse_options.sh
. scripts/corpus/start.sh

parts=${parts//,/ }
root=${librispeech_root:-${LIBRISPEECH:-}}
if [ -z "${root}" ] || [ "${root}" = downloads ]; then
    [ "${download}" = true ] || die "--librispeech_root is required with --download false: the folder of LibriSpeech"
    root=downloads/LibriSpeech
    # shellcheck disable=SC2086
    python3 local/download.py --to downloads ${parts}
fi
if [ "${alignments}" = download ]; then
    python3 local/download.py --to downloads alignments
    alignments=downloads/librispeech_alignments
fi
prepare_sets "" --parts "${parts}" --alignments "${alignments}" --nj "${nj}"
