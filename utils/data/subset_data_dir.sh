#!/usr/bin/env bash
# Kaldi's second name of utils/subset_data_dir.sh: the same arguments, the same work.

exec "$(dirname "$0")/../subset_data_dir.sh" "$@"
