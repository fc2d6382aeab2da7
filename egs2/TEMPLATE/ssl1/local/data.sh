#!/usr/bin/env bash
# The corpus in, data/<set>/{wav.scp,utt2spk,spk2utt} out. To be written for each corpus: this one only says what is wanted.
# Usage: local/data.sh [options of your own: they come from ./run.sh --local_data_opts "..."]
set -euo pipefail

. ./path.sh
. ./cmd.sh
. ./db.sh
. utils/log.sh

# For each set, sorted by utterance id in byte order (LC_ALL=C sort):
#   data/<set>/wav.scp     <utterance> <audio file, or a command that ends in |>
#   data/<set>/utt2spk     <utterance> <speaker>; begin the utterance id with the speaker id
#   data/<set>/spk2utt     utils/utt2spk_to_spk2utt.pl data/<set>/utt2spk > data/<set>/spk2utt
# Optional: segments, text (transcripts), utt2lang, phones.ctm (<utterance> 1 <start s> <duration s> <phone>).
# End with: utils/validate_data_dir.sh --no-feats --no-text data/<set>
die "local/data.sh has to be written for this corpus; its comments say what it makes, egs2/mini_espeak/ssl1/local/data.sh is an example"
