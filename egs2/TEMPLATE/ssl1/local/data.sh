#!/usr/bin/env bash
# The corpus in, data/<set>/{wav.scp,utt2spk,spk2utt} out. To be written for each corpus: this one only says what is wanted.
# Usage: local/data.sh [options of your own: they come from ./run.sh --local_data_opts "..."]
set -euo pipefail

. utils/parse_options.sh
. scripts/corpus/start.sh

# Options stand above these two lines, as name=default; ./run.sh --local_data_opts "--name value" sets them.
# For each set, in data/.new, sorted by utterance id in byte order (LC_ALL=C sort):
#   data/.new/<set>/wav.scp     <utterance> <audio file, or a command that ends in |>
#   data/.new/<set>/utt2spk     <utterance> <speaker>; begin the utterance id with the speaker id
# Optional: segments, text (transcripts), utt2lang, phones.ctm (<utterance> 1 <start s> <duration s> <phone>).
# End with: scripts/corpus/publish_sets.sh data/.new <set>...   It makes spk2utt; only valid sets become data/<set>.
die "local/data.sh has to be written for this corpus; its comments say what it makes, egs2/mini_espeak/ssl1/local/data.sh is an example"
