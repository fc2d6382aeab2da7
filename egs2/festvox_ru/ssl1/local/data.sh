#!/usr/bin/env bash
# The festvox-ru voice in, data/train and data/dev out: 99.5 minutes of one Russian speaker, with phone labels.
#
# Usage: $0 [options]        e.g.: $0 --festvox_ru_root /usr/share/festival/voices/russian/msu_ru_nsh_clunits
# Without a copy of your own (option, or FESTVOX_RU in db.sh) the Debian package is fetched into downloads/.
set -euo pipefail

festvox_ru_root=              # folder with wav/, lab/ and etc/, or an unpacked package
check_content=true            # false: take another version of the corpus than the one the results were measured on

. utils/parse_options.sh
. scripts/corpus/start.sh

find_root festvox_ru "${festvox_ru_root:-${FESTVOX_RU:-}}"
prepare_sets "train dev" --check_content "${check_content}"
