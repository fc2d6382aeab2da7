#!/usr/bin/env bash
# A data directory and segments inside its utterances -> a data directory of these segments.
# Usage: $0 [options] <srcdir> <subsegments> [<text>] <destdir>
# e.g.:  $0 data/train exp/resegment/segments exp/resegment/text data/train_resegmented
# <subsegments> has lines "<new utterance> <utterance> <begin s> <end s>"; <text> has the same first fields.

set -euo pipefail

segment_end_padding=0.0   # seconds, added to each end
cmd=run.pl                # for Kaldi's sake: features are not cut
nj=1                      # for Kaldi's sake

. "$(dirname "$0")/../parse_options.sh"
utils=$(dirname "$0")/..

[ $# -eq 3 ] || [ $# -eq 4 ] || { echo "Usage: $0 [options] <srcdir> <subsegments> [<text>] <destdir>" >&2; exit 1; }
: "${cmd} ${nj}"
text=
if [ $# -eq 4 ]; then text=$3; fi

exec "${utils}/python.sh" -SE "${utils}/datadir" subsegment "$1" "$2" "${text}" "${!#}" "${segment_end_padding}"
