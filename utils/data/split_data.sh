#!/usr/bin/env bash
# Kaldi's second name of utils/split_data.sh: the same arguments, the same work.

exec "$(dirname "$0")/../split_data.sh" "$@"
