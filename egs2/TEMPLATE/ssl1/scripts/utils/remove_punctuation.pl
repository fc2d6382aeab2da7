#!/bin/sh
# ESPnet's second name of utils/remove_punctuation.pl.
exec "${0%/*}/../../../../../utils/remove_punctuation.pl" "$@"
