#!/usr/bin/env bash
# The festvox-ru voice in, data/train and data/dev out: 99.5 minutes of one Russian speaker, with phone labels.
#
# Usage: $0 [options]        e.g.: $0 --festvox_ru_root /usr/share/festival/voices/russian/msu_ru_nsh_clunits
# Without a copy of your own (option, or FESTVOX_RU in db.sh) the Debian package is fetched into downloads/.
set -euo pipefail

festvox_ru_root=              # folder with wav/, lab/ and etc/, or an unpacked package
check_content=true            # false: take another version of the corpus than the one the results were measured on

. utils/log.sh
. utils/parse_options.sh
[ $# -eq 0 ] || die "unexpected argument '$1'; $0 --help lists the options"
# shellcheck disable=SC1090
for setup in path.sh cmd.sh db.sh; do
    if [ -e "${setup}" ]; then . "./${setup}"; fi
done

root="${festvox_ru_root:-${FESTVOX_RU:-}}"
if [ -z "${root}" ] || [ "${root}" = downloads ]; then
    root=downloads/festvox_ru
    for fetched in downloads/festvox_ru ../*/downloads/festvox_ru; do # the other recipe may have fetched it
        if [ -d "${fetched}" ]; then
            root="${fetched}"
            break
        fi
    done
    [ -d "${root}" ] || local/download.sh downloads
fi

new=data/.new
rm -rf "${new}"
python3 local/prepare.py --root "${root}" --output_dir "${new}" --check_content "${check_content}"
for dset in train dev; do
    utils/utt2spk_to_spk2utt.pl < "${new}/${dset}/utt2spk" > "${new}/${dset}/spk2utt"
    utils/validate_data_dir.sh --no-feats "${new}/${dset}"
done
for dset in train dev; do # only a complete and valid set takes the final name
    rm -rf "data/${dset}"
    mv "${new}/${dset}" "data/${dset}"
done
rmdir "${new}"
log "data/train and data/dev are ready"
