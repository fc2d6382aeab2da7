#!/usr/bin/env bash
# New data folders in, data/<set> out, each with spk2utt: only what is valid takes the final name.
# Usage: scripts/corpus/publish_sets.sh [options] <folder of new sets> <set>...     e.g.: $0 data/.new train dev
set -euo pipefail

suffix=           # of the final names: _smoke makes data/train_smoke of <folder>/train

. utils/log.sh
. utils/parse_options.sh
[ $# -ge 2 ] || die "Usage: $0 [--suffix <suffix>] <folder of new sets> <set>..."
new=$1
shift
for dset in "$@"; do
    [ -e "${new}/${dset}/spk2utt" ] \
        || utils/utt2spk_to_spk2utt.pl < "${new}/${dset}/utt2spk" > "${new}/${dset}/spk2utt"
    [ -e "${new}/${dset}/text" ] && no_text= || no_text=--no-text
    utils/validate_data_dir.sh --no-feats ${no_text} "${new}/${dset}" > /dev/null
done
for dset in "$@"; do
    final="data/${dset}${suffix}"
    rm -rf "${final}"
    mv "${new}/${dset}" "${final}"
    log "${final}: $(wc -l < "${final}/utt2spk") utterances, $(wc -l < "${final}/spk2utt") speakers"
done
rmdir "${new}"
