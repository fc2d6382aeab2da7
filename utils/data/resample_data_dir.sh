#!/usr/bin/env bash
# A data directory and a rate in Hz -> its wav.scp with sox pipes that give that rate.
# Usage: $0 <frequency> <data-dir>     e.g.: $0 8000 data/dev

exec "$(dirname "$0")/../python.sh" -SE "$(dirname "$0")/../datadir" resample "$@"
