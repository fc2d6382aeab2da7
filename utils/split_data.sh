#!/usr/bin/env bash
# A data directory -> <data-dir>/split<N>/{1..N}, for array jobs; nothing is done where these are up to date.
# Usage: $0 [--per-utt] <data-dir> <num-to-split>     e.g.: $0 data/train 8

exec "$(dirname "$0")/python.sh" -SE "$(dirname "$0")/datadir" split "$@"
