#!/usr/bin/env bash
# A finished k-means folder in, links with ESPnet's names to its token list and label texts out (`cp` follows them).
# Usage: scripts/km/link_labels.sh --lang en exp/kmeans/iter1_espnet_hubert_l6_km500 train dev
#   data/<lang>_token_list_kmeans_iter<i>_<f>_<K>clusters/word/tokens.txt
#   dump/ssl_feats/<f>/layer_<x>/<set>/pseudo_labels_km<K>.txt      (mfcc has no layer: dump/ssl_feats/mfcc/<set>/)
# <f> holds what was done to the features: mfcc_utterance-mean, espnet_hubert_whiten64_smooth3.
set -euo pipefail

lang=noinfo               # Language of the corpus: part of the name.
dumpdir=dump              # Where ssl_feats/ goes.
datadir=data              # Where the token list goes.

. utils/log.sh
. utils/parse_options.sh
[ $# -ge 2 ] || die "Usage: $0 [options] <k-means dir> <set>..."
kmeans=${1%/}
shift

name=$(basename "${kmeans}")
[[ "${name}" =~ ^iter([0-9]+)_(.+)_km([0-9]+)$ ]] ||
    die "${kmeans}: expected a folder named iter<i>_<feature>[_l<layer>][_<what was done to them>]_km<K>"
iteration=${BASH_REMATCH[1]} feature=${BASH_REMATCH[2]} clusters=${BASH_REMATCH[3]}
folder=${feature}
if [[ "${feature}" =~ ^(.+)_l([0-9+]+)(_.+)?$ ]]; then
    feature=${BASH_REMATCH[1]}${BASH_REMATCH[3]}
    folder=${feature}/layer_${BASH_REMATCH[2]}
fi

# link <file> <name>: relative, so that the recipe can be moved as a whole; replaces a link, never a file.
link() {
    [ -f "$1" ] || die "$1 is missing: run stage 5"
    [ ! -e "$2" ] || [ -L "$2" ] || die "$2 is in the way: it is no link of ours; move it"
    mkdir -p "$(dirname "$2")"
    ln -sfn "$(realpath --relative-to="$(dirname "$2")" "$1")" "$2"
}

link "${kmeans}/tokens.txt" "${datadir}/${lang}_token_list_kmeans_iter${iteration}_${feature}_${clusters}clusters/word/tokens.txt"
for dset in "$@"; do
    link "${kmeans}/labels/${dset}.txt" "${dumpdir}/ssl_feats/${folder}/${dset}/pseudo_labels_km${clusters}.txt"
done
