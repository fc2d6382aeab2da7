#!/usr/bin/env bash
# Kaldi's second name of utils/perturb_data_dir_speed.sh: the same arguments, the same work.

exec "$(dirname "$0")/../perturb_data_dir_speed.sh" "$@"
