#!/usr/bin/env bash
# The GigaSpeech corpus in, data/train_<subset>, data/dev and data/test out: segments of long recordings.
#
# Usage: $0 [options]        e.g.: $0 --gigaspeech_root /corpora/GigaSpeech --subset xs
# The corpus is handed out after a registration: nothing can be fetched here. The folder may also stand in db.sh.
set -euo pipefail

gigaspeech_root=              # folder with GigaSpeech.json and audio/
subset=${GIGASPEECH_SUBSET:-xl} # xs (10 hours), s (250), m (1,000), l (2,500) or xl (10,000)
max_missing_ratio=0.01        # share of the recordings that may be missing in audio/

. utils/parse_options.sh
. scripts/corpus/start.sh

root="${gigaspeech_root:-${GIGASPEECH:-}}"
[ -n "${root}" ] || die "where is GigaSpeech? Pass --gigaspeech_root, or set GIGASPEECH in db.sh; README.md says where to get it"
prepare_sets "train_${subset} dev test" --subset "${subset}" --max_missing_ratio "${max_missing_ratio}"
