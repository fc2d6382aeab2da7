#!/usr/bin/env bash
# A label text, a token list and a formatted set in, checked and packed labels out.
# Usage: scripts/tokens/import_labels.sh --token_list <tokens.txt> [options] dump/<set> <folder for the packed labels>
set -euo pipefail

text=                     # "<utt> 3 3 17 ..."; empty: dump/<set>/text
token_list=               # One symbol a line; its order gives the ids.
label_rate=auto           # Labels per second: 100, 50, 25, or auto, which finds it from the lengths.
tolerance_labels=2        # By how many the labels of an utterance may differ from its frames.
max_missing_ratio=0.001   # Share of utterances that may lack labels.
python=python3            # The interpreter with the toolkit's packages.

. utils/log.sh
. utils/parse_options.sh
[ $# -eq 2 ] || die "Usage: $0 --token_list <tokens.txt> [--text <labels>] dump/<set> <folder>"
set_dir=$1
output=$2
text=${text:-${set_dir}/text}
[ -n "${token_list}" ] || die "--token_list is required: the list of the clusters, one symbol a line"
[ -f "${text}" ] || die "${text} is missing: copy the pseudo-labels of $(basename "${set_dir}") there, or give --pseudo_labels"

"${python}" -m espnet2.bin.ssl_import_labels --dump_set "${set_dir}" --text "${text}" --token_list "${token_list}" \
    --label_rate "${label_rate}" --tolerance_labels "${tolerance_labels}" --max_missing_ratio "${max_missing_ratio}" \
    --output "${output}"
