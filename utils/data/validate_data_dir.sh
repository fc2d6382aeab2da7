#!/usr/bin/env bash
# Kaldi's second name of utils/validate_data_dir.sh: the same arguments, the same work.

exec "$(dirname "$0")/../validate_data_dir.sh" "$@"
