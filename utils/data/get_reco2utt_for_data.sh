#!/usr/bin/env bash
# A data directory -> "<recording> <utterance>..." lines on standard output.
# Usage: $0 <data-dir> > <reco2utt>

set -euo pipefail

[ $# -eq 1 ] || { echo "Usage: $0 <data-dir> > <reco2utt>" >&2; exit 1; }
if [ -f "$1/segments" ]; then
    cut -d ' ' -f 1,2 "$1/segments" | "$(dirname "$0")/../utt2spk_to_spk2utt.pl"
else
    awk '{ print $1, $1 }' "$1/wav.scp"
fi
