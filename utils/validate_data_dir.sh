#!/usr/bin/env bash
# A data directory -> exit code 0 where it is well formed, else one error as file:line.
# Usage: $0 [--no-feats] [--no-text] [--no-wav] [--no-spk-sort] [--non-print] <data-dir>

exec "$(dirname "$0")/python.sh" -SE "$(dirname "$0")/datadir" validate "$@"
