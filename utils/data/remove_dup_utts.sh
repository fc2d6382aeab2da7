#!/usr/bin/env bash
# A data directory -> a copy in which no transcript occurs much more than max-count times.
# Usage: $0 <max-count> <src-data-dir> <dest-data-dir>     e.g.: $0 10 data/train data/train_nodup

exec "$(dirname "$0")/../python.sh" -SE "$(dirname "$0")/../datadir" duplicates "$@"
