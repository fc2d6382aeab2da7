#!/usr/bin/env bash
# Many small archives with prompts of their own; sets are lists of utterances: VoxForge's kind. For tests only.
set -euo pipefail

. ./path.sh || exit 1
. ./db.sh
lang=en
. utils/parse_options.sh || exit 1

data=data/all_${lang}
mkdir -p ${data}
rm -f ${data}/*
for d in $(find -L ${VOXFORGE}/${lang}/extracted -maxdepth 1 -mindepth 1 -type d | LC_ALL=C sort); do
    id=$(basename "${d}" | sed -e 's/-.*//')_$(basename "${d}" | sed -e 's/.*-//')
    tr -d '\r' < ${d}/etc/PROMPTS | while read -r path words; do
        name=${id}-$(basename "${path}")
        [ -f "${d}/wav/$(basename "${path}").wav" ] || continue
        echo "${name} ${d}/wav/$(basename "${path}").wav" >> ${data}/wav.scp
        echo "${name} ${words}" >> ${data}/text.raw
        echo "${name} ${id}" >> ${data}/utt2spk
    done
done
cut -d' ' -f1 ${data}/text.raw > ${data}/ids
cut -d' ' -f2- ${data}/text.raw | remove_punctuation.pl | paste -d' ' ${data}/ids - > ${data}/text
utils/utt2spk_to_spk2utt.pl < ${data}/utt2spk > ${data}/spk2utt
utils/fix_data_dir.sh ${data}
utils/validate_data_dir.sh --no-feats ${data}
cut -d' ' -f1 ${data}/spk2utt | utils/shuffle_list.pl --srand 1 | head -n 1 > ${data}/dt.spk
utils/filter_scp.pl -f 2 ${data}/dt.spk ${data}/utt2spk > ${data}/dt.ids
utils/filter_scp.pl --exclude ${data}/dt.ids ${data}/utt2spk > ${data}/tr.ids
for x in tr dt; do
    reduce_data_dir.sh ${data} ${data}/${x}.ids data/${x}_${lang}
    utils/fix_data_dir.sh data/${x}_${lang}
done
text2token.py -s 1 -n 1 data/tr_${lang}/text | cut -f 2- -d" " | tr " " "\n" | sort | uniq | grep -v -e '^\s*$' > data/units.txt
