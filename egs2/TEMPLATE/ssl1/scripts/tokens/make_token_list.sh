#!/usr/bin/env bash
# Transcripts of formatted sets in, <folder>/tokens.txt (and for bpe <folder>/bpe.model) out.
# Usage: scripts/tokens/make_token_list.sh --token_type char|bpe|word|phn [options] "dump/<set> ..." <folder>
set -euo pipefail

token_type=char           # char, bpe (sentencepiece), word or phn.
cleaner=none              # none, or tacotron for English.
g2p=none                  # For phn: none where transcripts hold phones, g2p_en for English words.
nbpe=30                   # Number of pieces for bpe.
bpemode=unigram           # unigram or bpe.
bpe_nlsyms=               # Symbols never split: separated by commas, or a file of one a line.
python=python3            # The interpreter with the toolkit's packages.

. utils/log.sh
. utils/parse_options.sh
[ $# -eq 2 ] || die "Usage: $0 --token_type char|bpe|word|phn \"dump/<set> ...\" <folder>"
read -ra inputs <<< "$1"
output=$2

"${python}" -m espnet2.bin.tokenize_text --token_type "${token_type}" --write_vocabulary true --cleaner "${cleaner}" \
    --g2p "${g2p}" --nbpe "${nbpe}" --bpemode "${bpemode}" --bpemodel "${output}/bpe.model" \
    --non_linguistic_symbols "${bpe_nlsyms}" --input "${inputs[@]}" --output "${output}/tokens.txt"
