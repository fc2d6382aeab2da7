#!/usr/bin/env bash
# Several languages, transcripts with tabs, named dictionaries of the shell: MLS's kind. For tests only.
set -euo pipefail

. ./db.sh
. ./path.sh
. ./cmd.sh
source ./scripts/utils/simple_dict.sh
langs="de pl"
. utils/parse_options.sh

dict_init names
dict_put names de german
dict_put names pl polish
dict_put names xx nothing
dict_remove names xx
[ "$(dict_keys names)" = "de pl" ] || exit 1
[ "$(dict_values names)" = "german polish" ] || exit 1
for lang in ${langs}; do
    src=${MLS}/mls_$(dict_get names ${lang})
    for part in train dev; do
        dir=data/mls_${lang}_${part}
        mkdir -p ${dir}
        while IFS=$'\t' read -r id words; do
            IFS=_ read -r speaker book _ <<< "${id}"
            echo "${lang}_${id} ${src}/${part}/audio/${speaker}/${book}/${id}.flac"
            echo "${lang}_${id} ${words}" >&3
            echo "${lang}_${id} ${lang}_${speaker}" >&4
        done < ${src}/${part}/transcripts.txt > ${dir}/wav.scp 3> ${dir}/text 4> ${dir}/utt2spk
        utils/utt2spk_to_spk2utt.pl ${dir}/utt2spk > ${dir}/spk2utt
        utils/fix_data_dir.sh ${dir}
        utils/validate_data_dir.sh --no-feats --no-spk-sort ${dir}
    done
done
utils/combine_data.sh data/train data/mls_*_train
utils/combine_data.sh data/dev data/mls_*_dev
utils/split_data.sh --per-utt data/train 2
