#!/usr/bin/env bash
# Shards (WebDataset's tars, Parquet, lhotse's Shar) in, data/train and data/dev whose audio stays in them out.
#
# Usage: $0 --train SHARDS [options]      e.g.: $0 --train "/data/train-{000..099}.tar" --text txt --speaker speaker_id
# SHARDS are paths and addresses (s3://, gs://, https://), with commas between, * and {000..099}; folders;
# hf:<folder or user/dataset>; a .txt that lists shards. A stopped call goes on where it was; a repeated one reads new and changed shards only.
set -euo pipefail

train=                # shards to train on (or SHARDS in db.sh)
dev=                  # shards to validate on; without them --valid_share of --train is held out
valid_share=0.01      # share of the speakers, or of the utterances where these are unknown
split=train           # of hf:<dataset> in --train
dev_split=validation  # of hf:<dataset> in --dev
audio=audio           # Parquet: column of the audio
key=                  # Parquet: column of the utterance's name; without it the name in the audio's path
text=                 # transcripts: a column; in tars the extension of a file (txt), or a key of the .json beside the audio
speaker=              # the same for speakers
language=             # the same for languages
nj=4                  # shards read at once, on this machine
work_dir=data/shards  # what was read so far

. utils/parse_options.sh
. scripts/corpus/start.sh

train="${train:-${SHARDS:-}}"
[ -n "${train}" ] || die "which shards? --train SHARDS, or SHARDS in db.sh; through the recipe:" \
    "./run.sh --local_data_opts \"--train /data/*.tar\""
rm -rf data/.new
python3 -m espnet2.bin.ssl_import_shards --train "${train}" --dev "${dev}" --valid_share "${valid_share}" --split "${split}" \
    --dev_split "${dev_split}" --audio "${audio}" --key "${key}" --text "${text}" --speaker "${speaker}" \
    --language "${language}" --nj "${nj}" --work_dir "${work_dir}" --output_dir data/.new
scripts/corpus/publish_sets.sh data/.new train dev
