#!/usr/bin/env bash
# Stage 6: dump/<set>/mel_stats, the mean and deviation of mel frames, where the config says mel_norm: corpus.
# Usage: scripts/audio/mel_statistics.sh [options] <train config> dump/<train set> [dump/<train set> ...]
# e.g.:  scripts/audio/mel_statistics.sh --nj 8 conf/train_best_rq_base.yaml dump/train
set -euo pipefail

nj=4              # Processes.
max_hours=100     # Audio to read per set, spread evenly.
args=             # Overrides of the config.
python=python3

. utils/log.sh
. utils/parse_options.sh
. scripts/common/configs.sh
[ $# -ge 2 ] || die "Usage: $0 [options] <train config> dump/<train set> [...]"
config=$1
shift
config_file=$(require_config "${config}")

# The program decides; this spares most configs the seconds that it takes to load.
if ! grep -q mel_norm "${config_file}" && [[ "${args}" != *mel_norm* ]]; then
    log "mel statistics: not needed by ${config}"
    exit 0
fi
read -ra overrides <<< "${args}"
exec "${python}" -m espnet2.bin.ssl_mel_stats --config "${config}" --train_sets "$*" --workers "${nj}" \
    --max_hours "${max_hours}" "${overrides[@]}"
