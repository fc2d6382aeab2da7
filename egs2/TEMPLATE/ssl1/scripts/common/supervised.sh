# Sourced first by ssl1.sh and hubert1.sh: starts the script again under utils/supervise.py, once.
# shellcheck shell=bash

# Its child knows it as the parent; hubert1.sh answers for the ssl1.sh that it calls.
if [ "${RECIPE_SUPERVISOR:-}" != "${PPID}" ]; then exec utils/python.sh -SE utils/supervise.py "$0" "$@"; fi
trap 'exit 143' TERM    # once the program at work has ended, which the signal reaches too
trap 'exit 129' HUP
