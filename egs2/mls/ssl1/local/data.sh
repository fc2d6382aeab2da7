#!/usr/bin/env bash
# Multilingual LibriSpeech in, data/{train,dev,test} out: the chosen languages together, with utt2lang and transcripts.
#
# Usage: $0 [options]        e.g.: $0 --mls_root /corpora/mls --languages german,polish --nj 16
set -euo pipefail

mls_root=                     # folder with mls_polish/, mls_german_opus/ and so on
languages=polish              # any of german,dutch,french,spanish,italian,portuguese,polish,english
download=false                # true: fetch the languages into downloads/
opus=false                    # with --download: the archives with Opus files, a quarter of the size of FLAC
nj=4                          # folders to read at a time

. utils/parse_options.sh
. scripts/corpus/start.sh

languages=${languages//,/ }
root=${mls_root:-${MLS:-}}
if [ "${download}" = true ]; then
    root=downloads
    # shellcheck disable=SC2086
    python3 local/download.py --to "${root}" --opus "${opus}" ${languages}
fi
[ -n "${root}" ] || die "where is MLS? Pass --mls_root, set MLS in db.sh, or pass --download true"
prepare_sets "train dev test" --work data/.work --languages "${languages}" --nj "${nj}"
