#!/usr/bin/env bash
# A recipe folder -> what its data preparation needs that is not here; nothing is run.
# Usage: $0 [--summary] [--start <script>] <recipe folder>...     e.g.: $0 egs2/my_corpus/ssl1

exec "$(dirname "$0")/python.sh" "$(dirname "$0")/recipe_check" "$@"
