#!/usr/bin/env bash
# Talks with transcripts and translations, a line each; pieces of words: the kind of corpora for translation. For tests only.
set -euo pipefail

. ./path.sh
. ./cmd.sh
. ./db.sh
nbpe=30
. utils/parse_options.sh

src=${MUST_C}/en-de/data/dev
dst=data/local/dev
mkdir -p ${dst}
sed -n 's/.*duration: \([0-9.]*\), offset: \([0-9.]*\), speaker_id: \([^,]*\), wav: \(.*\)\.wav}.*/\4 \3 \2 \1/p' ${src}/txt/dev.yaml \
    | awk '{printf("%s_%07.0f_%07.0f %s %.3f %.3f %s\n", $1, $3 * 1000, ($3 + $4) * 1000, $1, $3, $3 + $4, $2)}' > ${dst}/all
cut -d' ' -f1-4 ${dst}/all > ${dst}/segments
awk '{print $1, $2}' ${dst}/all > ${dst}/utt2spk
cut -d' ' -f2 ${dst}/all | sort -u | awk -v root=${src} '{print $1, "cat " root "/wav/" $1 ".wav |"}' > ${dst}/wav.scp
for lang in en de; do
    paste -d' ' <(cut -d' ' -f1 ${dst}/all) ${src}/txt/dev.${lang} > ${dst}/text.tc.${lang}
    cut -d' ' -f2- ${dst}/text.tc.${lang} | tr '[:upper:]' '[:lower:]' | remove_punctuation.pl \
        | paste -d' ' <(cut -d' ' -f1 ${dst}/all) - | sort > ${dst}/text.lc.rm.${lang}
done
cp ${dst}/text.lc.rm.en ${dst}/text
for f in segments utt2spk; do sort ${dst}/${f} -o ${dst}/${f}; done
utils/utt2spk_to_spk2utt.pl ${dst}/utt2spk > ${dst}/spk2utt
utils/fix_data_dir.sh --utt_extra_files "text.lc.rm.en text.lc.rm.de" ${dst}
utils/copy_data_dir.sh ${dst} data/dev.en-de
utils/validate_data_dir.sh --no-feats data/dev.en-de
mkdir -p data/lang
cut -d' ' -f2- ${dst}/text.lc.rm.* > data/lang/input.txt
spm_train --input=data/lang/input.txt --vocab_size=${nbpe} --model_type=char --model_prefix=data/lang/bpe --input_sentence_size=1000
spm_encode --model=data/lang/bpe.model --output_format=piece < data/lang/input.txt > data/lang/pieces.txt
spm_decode --model=data/lang/bpe.model < data/lang/pieces.txt > data/lang/back.txt
cmp data/lang/input.txt data/lang/back.txt
