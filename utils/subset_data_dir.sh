#!/usr/bin/env bash
# A data directory and a choice of utterances -> a smaller data directory.
# Usage: $0 --first <srcdir> <num-utt> <destdir>     (without arguments: all forms)

exec "$(dirname "$0")/python.sh" -SE "$(dirname "$0")/datadir" subset "$@"
