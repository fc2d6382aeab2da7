#!/usr/bin/env bash
# Clips in MP3 and tables with tabs, sets from lists of utterances: Common Voice's kind. For tests only.
set -euo pipefail

. ./db.sh
. ./path.sh
. ./cmd.sh
lang=eo
. utils/parse_options.sh

[ -z "${COMMONVOICE}" ] && { echo "Fill the value of 'COMMONVOICE' of db.sh"; exit 1; }
mkdir -p data/{validated,local}
for part in validated test dev; do
    dir=data/${part}_${lang}
    mkdir -p ${dir}
    tail -n +2 ${COMMONVOICE}/${lang}/${part}.tsv | tr -d '\r' | awk -F'\t' -v dir=${dir} -v root=${COMMONVOICE}/${lang}/clips '{
        name = $2; sub(/\.mp3$/, "", name); spk = substr($1, 1, 8); utt = spk "-" name;
        print utt, "ffmpeg -i " root "/" $2 " -f wav -ar 16000 -ab 16 -ac 1 - |" > dir "/wav.scp.unsorted";
        print utt, toupper($3) > dir "/text.unsorted";
        print utt, spk > dir "/utt2spk.unsorted";
        g = ($4 == "female") ? "f" : "m"; print spk, g > dir "/spk2gender.unsorted";
    }'
    for f in wav.scp text utt2spk spk2gender; do
        LC_ALL=C sort -u ${dir}/${f}.unsorted > ${dir}/${f}
        rm ${dir}/${f}.unsorted
    done
    utils/utt2spk_to_spk2utt.pl ${dir}/utt2spk > ${dir}/spk2utt
    env LC_ALL=C utils/fix_data_dir.sh ${dir}
    utils/validate_data_dir.sh --non-print --no-feats ${dir}
done
# remove test&dev data from validated sentences
cat data/{test,dev}_${lang}/utt2spk | cut -d' ' -f1 > data/local/held_out
utils/filter_scp.pl --exclude data/local/held_out data/validated_${lang}/wav.scp > data/local/train.scp
utils/subset_data_dir.sh --utt-list data/local/train.scp data/validated_${lang} data/train_${lang}
mkdir -p exp/storage/1 exp/storage/2
utils/create_data_link.pl exp/egs.1.ark exp/egs.2.ark
