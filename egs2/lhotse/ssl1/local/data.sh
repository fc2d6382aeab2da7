#!/usr/bin/env bash
# Manifests of lhotse (cuts or recordings) or Shar folders in, data/train and data/dev whose audio stays where it is out.
#
# Usage: $0 --train CUTS [options]      e.g.: $0 --train cuts_train.jsonl.gz --dev cuts_dev.jsonl.gz --alignment phone
# CUTS are manifests, with commas between, * and {00..09}, or folders of Shar. Supervisions become text, utt2spk and utt2lang. A stopped
# call goes on where it was; a repeated one reads new and changed manifests only.
set -euo pipefail

train=                # cuts to train on (or LHOTSE_CUTS in db.sh)
dev=                  # cuts to validate on; without them --valid_share of --train is held out
valid_share=0.01      # share of the speakers, or of the cuts where these are unknown
alignment=            # the alignment of supervisions that becomes phones.ctm, such as phone
nj=4                  # manifests read at once, on this machine
work_dir=data/cuts    # what was read so far

. utils/parse_options.sh
. scripts/corpus/start.sh

train="${train:-${LHOTSE_CUTS:-}}"
[ -n "${train}" ] || die "which cuts? --train CUTS, or LHOTSE_CUTS in db.sh; through the recipe:" \
    "./run.sh --local_data_opts \"--train cuts.jsonl.gz\""
rm -rf data/.new
python3 -m espnet2.bin.ssl_import_shards --train "${train}" --dev "${dev}" --valid_share "${valid_share}" \
    --alignment "${alignment}" --nj "${nj}" --work_dir "${work_dir}" --output_dir data/.new
scripts/corpus/publish_sets.sh data/.new train dev
