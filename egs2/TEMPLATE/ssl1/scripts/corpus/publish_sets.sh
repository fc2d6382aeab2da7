#!/usr/bin/env bash
# New data folders in, data/<set> out: only what is valid takes the final name.
# Usage: scripts/corpus/publish_sets.sh <folder of new sets> <set>...     e.g.: $0 data/.new train dev
set -euo pipefail

. utils/log.sh
[ $# -ge 2 ] || die "Usage: $0 <folder of new sets> <set>..."
new=$1
shift
for dset in "$@"; do
    [ -e "${new}/${dset}/text" ] && no_text= || no_text=--no-text
    utils/validate_data_dir.sh --no-feats ${no_text} "${new}/${dset}" > /dev/null
done
for dset in "$@"; do
    rm -rf "data/${dset}"
    mv "${new}/${dset}" "data/${dset}"
    log "data/${dset}: $(wc -l < "data/${dset}/utt2spk") utterances, $(wc -l < "data/${dset}/spk2utt") speakers"
done
rmdir "${new}"
