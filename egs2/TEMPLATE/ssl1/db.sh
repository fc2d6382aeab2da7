# Sourced by local/data.sh (`. ./db.sh`): corpus name -> the folder where it lies on your disks.
#
# Empty: the recipe fetches the corpus in stage 1 where it may, into its own downloads/. Set a folder here or in the
# environment (LIBRISPEECH=/corpora/LibriSpeech ./run.sh) to use a copy that you have.

export AISHELL="${AISHELL:-}"
export AUDIO_FOLDER="${AUDIO_FOLDER:-}"
export COMMONVOICE="${COMMONVOICE:-}"
export DEBIAN_VOICES="${DEBIAN_VOICES:-}"
export FESTVOX_RU="${FESTVOX_RU:-}"
export GIGASPEECH="${GIGASPEECH:-}"
export LIBRILIGHT="${LIBRILIGHT:-}"
export LIBRISPEECH="${LIBRISPEECH:-}"
export MBOSHI="${MBOSHI:-}"
export MLS="${MLS:-}"
export TIMIT="${TIMIT:-}"
export VOXPOPULI="${VOXPOPULI:-}"
