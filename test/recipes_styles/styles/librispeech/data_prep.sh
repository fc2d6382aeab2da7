#!/usr/bin/env bash
# One part of the corpus -> its data directory.
set -euo pipefail

src=$1
dst=$2
mkdir -p "${dst}"
rm -f "${dst}"/{wav.scp,text,utt2spk}
spk_file=${src}/../SPEAKERS.TXT
for reader_dir in $(find -L "${src}" -mindepth 1 -maxdepth 1 -type d | sort); do
    reader=$(basename "${reader_dir}")
    reader_gender=$(grep -E "^${reader} +\|" "${spk_file}" | awk -F'|' '{gsub(/[ ]+/, ""); print tolower($2)}')
    for chapter_dir in $(find -L "${reader_dir}/" -mindepth 1 -maxdepth 1 -type d | sort); do
        chapter=$(basename "${chapter_dir}")
        find -L "${chapter_dir}/" -iname "*.flac" | sort | xargs -I% basename % .flac \
            | awk -v "dir=${chapter_dir}" '{printf "%s flac -c -d -s %s/%s.flac |\n", $0, dir, $0}' >> "${dst}/wav.scp"
        cat "${chapter_dir}/${reader}-${chapter}.trans.txt" >> "${dst}/text"
        awk -v "reader=${reader}" -v "chapter=${chapter}" '{printf "%s %s-%s\n", $1, reader, chapter}' \
            < "${chapter_dir}/${reader}-${chapter}.trans.txt" >> "${dst}/utt2spk"
        echo "${reader}-${chapter} ${reader_gender}" >> "${dst}/spk2gender.unsorted"
    done
done
sort "${dst}/spk2gender.unsorted" > "${dst}/spk2gender"
utils/utt2spk_to_spk2utt.pl < "${dst}/utt2spk" > "${dst}/spk2utt"
ntrans=$(wc -l < "${dst}/text")
[ "${ntrans}" -eq "$(wc -l < "${dst}/utt2spk")" ] || exit 1
utils/data/get_utt2dur.sh "${dst}" 1>&2
utils/validate_data_dir.sh --no-feats "${dst}"
