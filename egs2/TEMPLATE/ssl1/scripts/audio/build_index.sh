#!/usr/bin/env bash
# Stage 6: the memory-mapped index of one or more sets, <dump-dir>/index; reads no audio.
# Usage: $0 [options] <dump-dir> [<dump-dir> ...]
# e.g.:  $0 dump/train dump/valid
set -euo pipefail

python=python3

. utils/log.sh
. utils/parse_options.sh
[ $# -ge 1 ] || die "expected one or more dump directories (--help explains)"

exec "${python}" -m espnet2.bin.ssl_build_index "$@"
