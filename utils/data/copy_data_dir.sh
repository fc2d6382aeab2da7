#!/usr/bin/env bash
# Kaldi's second name of utils/copy_data_dir.sh: the same arguments, the same work.

exec "$(dirname "$0")/../copy_data_dir.sh" "$@"
