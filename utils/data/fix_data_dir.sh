#!/usr/bin/env bash
# Kaldi's second name of utils/fix_data_dir.sh: the same arguments, the same work.

exec "$(dirname "$0")/../fix_data_dir.sh" "$@"
