#!/usr/bin/env bash
# Six Debian packages of spoken prompts in, data/train and data/dev out: multilingual speech with utt2lang.
#
# Usage: $0 [options]        e.g.: $0 --nj 8 --debian_voices_root /corpora/debian_voices
# Without a copy of your own (option, or DEBIAN_VOICES in db.sh) the packages are fetched into downloads/.
set -euo pipefail

debian_voices_root=           # folder into which all six packages were unpacked; "/" where they are installed
check_content=true            # false: take other versions than those the results were measured on
nj=4                          # processes at a time; the output is the same for any number
audio_dir=data/audio          # where the 16 kHz audio goes

. utils/log.sh
. utils/parse_options.sh
[ $# -eq 0 ] || die "unexpected argument '$1'; $0 --help lists the options"
# shellcheck disable=SC1090
for setup in path.sh cmd.sh db.sh; do
    if [ -e "${setup}" ]; then . "./${setup}"; fi
done

root="${debian_voices_root:-${DEBIAN_VOICES:-}}"
if [ -z "${root}" ] || [ "${root}" = downloads ]; then
    root=downloads/debian_voices
    for fetched in downloads/debian_voices ../*/downloads/debian_voices; do # the other recipe may have fetched it
        if [ -d "${fetched}" ]; then
            root="${fetched}"
            break
        fi
    done
    [ -d "${root}" ] || local/download.sh downloads
fi

new=data/.new
rm -rf "${new}"
python3 local/prepare.py --root "${root}" --output_dir "${new}" --audio_dir "${audio_dir}" --nj "${nj}" \
    --check_content "${check_content}"
for dset in train dev; do
    utils/validate_data_dir.sh --no-feats "${new}/${dset}"
done
for dset in train dev; do # only a complete and valid set takes the final name
    rm -rf "data/${dset}"
    mv "${new}/${dset}" "data/${dset}"
done
rmdir "${new}"
log "data/train and data/dev are ready"
