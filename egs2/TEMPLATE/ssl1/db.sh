# Sourced by local/data.sh (`. ./db.sh`): corpus name -> the folder where it lies on your disks.
#
# Empty: the recipe fetches the corpus in stage 1 where it may, into its own downloads/. Set a folder here or in the
# environment (LIBRISPEECH=/corpora/LibriSpeech ./run.sh) to use a copy that you have.

export FESTVOX_RU="${FESTVOX_RU:-}"
export LIBRISPEECH="${LIBRISPEECH:-}"
export LIBRILIGHT="${LIBRILIGHT:-}"
