#!/usr/bin/env bash
# Kaldi's second name of utils/combine_data.sh: the same arguments, the same work.

exec "$(dirname "$0")/../combine_data.sh" "$@"
