#!/usr/bin/env bash
# A folder of audio (wav, flac, mp3, ogg, opus, m4a, ...) in, data/train and data/dev out; long files are cut at pauses.
#
# Usage: $0 --audio_root DIR [options]        e.g.: $0 --audio_root /data/calls --speaker_level 1 --nj 32
# A stopped call goes on where it was; a repeated one looks at new and changed files only.
# data/unusable.tsv lists what was left out and why.
set -euo pipefail

audio_root=                   # the folder; its subfolders are searched too (or AUDIO_FOLDER in db.sh)
nj=4                          # jobs at once (cmd.sh says where); the output is the same for any number
cut=vad                       # long files: vad cuts at pauses, fixed into equal parts, none leaves them whole
cut_above=20                  # seconds from which a file is long; 0 with --cut vad looks for speech in every file
max_seconds=20                # longest part
min_seconds=1                 # shortest part
max_pause=1.0                 # longest pause within a part, seconds
vad_threshold=0.5             # probability from which it is speech
speaker_level=0               # 1: the first folder below the root names the speaker, -1: the folder of the file; 0: unknown
speakers=                     # table <path below the root> TAB <speaker> [TAB <language>] instead of folder names
language=                     # such as en, for utt2lang
valid_share=0.01              # share of the speakers, or files, that are held out as data/dev
valid_by=speaker              # speaker or file: what is held out as a whole; file where speakers are unknown
drop_duplicates=false         # true: of files with the same bytes the first by name is kept (reads every file)
max_unreadable_share=0.01     # a larger share of unreadable files is an error
work_dir=data/audio_folder    # what was found so far

. utils/parse_options.sh
. scripts/corpus/start.sh
. scripts/common/jobs.sh

root="${audio_root:-${AUDIO_FOLDER:-}}"
[ -n "${root}" ] || die "which folder? --audio_root DIR, or AUDIO_FOLDER in db.sh; through the recipe:" \
    "./run.sh --local_data_opts \"--audio_root DIR\""

num_jobs=$(python3 local/prepare.py plan --root "${root}" --work_dir "${work_dir}" --nj "${nj}" --cut "${cut}" \
    --cut_above "${cut_above}" --max_seconds "${max_seconds}" --min_seconds "${min_seconds}" --max_pause "${max_pause}" \
    --vad_threshold "${vad_threshold}" --drop_duplicates "${drop_duplicates}")
if [ "${num_jobs}" -gt 0 ]; then
    literal python3 local/inspect_files.py --work_dir "${work_dir}" --job JOB --num_jobs "${num_jobs}"
    # ${train_cmd} holds a program and its options: it has to be split.
    # shellcheck disable=SC2086
    watched "${work_dir}/logs/inspect.JOB.log" ${train_cmd} JOB=1:"${num_jobs}" "${work_dir}/logs/inspect.JOB.log" \
        "${literal_words[@]}"
fi

new=data/.new
rm -rf "${new}"
python3 local/prepare.py write --work_dir "${work_dir}" --output_dir "${new}" --speaker_level "${speaker_level}" \
    --speakers "${speakers}" --language "${language}" --valid_share "${valid_share}" --valid_by "${valid_by}" \
    --max_unreadable_share "${max_unreadable_share}"
mv "${new}/unusable.tsv" data/.unusable.tsv
scripts/corpus/publish_sets.sh "${new}" train dev
mv data/.unusable.tsv data/unusable.tsv
log "data/unusable.tsv lists what was left out"
