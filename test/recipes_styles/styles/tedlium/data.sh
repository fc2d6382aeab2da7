#!/usr/bin/env bash
# Talks with an STM file each: segments widened, long speakers cut, Kaldi's own path to sph2pipe. For tests only.
set -euo pipefail

. ./db.sh
. ./path.sh
. utils/parse_options.sh

sph2pipe=${KALDI_ROOT}/tools/sph2pipe_v2.5/sph2pipe
if ! command -v "${sph2pipe}" > /dev/null; then
    echo "Could not find (or execute) the sph2pipe program at ${sph2pipe}"
    exit 1
fi
for set in dev train; do
    dir=data/$set.orig
    mkdir -p $dir
    { # Add STM header, so sclite can prepare the '.lur' file
        echo ';;
;; LABEL "o" "Overall" "Overall results"
;;'
        # Process the STMs
        cat ${TEDLIUM2}/$set/stm/*.stm | sort -k1,1 -k2,2 -k4,4n | sed -e 's:<F0_M>:<o,f0,male>:' | awk '{ $2 = "A"; print $0; }'
    } > data/$set.stm
    grep -v -e 'ignore_time_segment_in_scoring' -e ';;' data/$set.stm | awk '{
        printf ("%s-%07d-%07d", $1, $4 * 100, $5 * 100);
        for (i = 7; i <= NF; i++) { printf(" %s", $i); }
        printf("\n");
    }' | tr '{}' '[]' | sort -k1,1 > $dir/text || exit 1
    awk '{
        segment = $1; split(segment, S, "[-]"); spkid = S[1]; spkid_len = length(spkid);
        print segment " " spkid " " substr(segment, spkid_len + 2, 7) / 100 " " substr(segment, spkid_len + 10, 7) / 100
    }' < $dir/text > $dir/segments
    awk '{print $1, $2}' $dir/segments > $dir/utt2spk
    utils/utt2spk_to_spk2utt.pl < $dir/utt2spk > $dir/spk2utt
    awk -v set=$set -v root=${TEDLIUM2} -v sph2pipe=$sph2pipe \
        '{ printf("%s %s -f wav -p %s/%s/sph/%s.sph |\n", $1, sph2pipe, root, set, $1); }' < $dir/spk2utt > $dir/wav.scp
    mv $dir/segments $dir/segments.temp
    utils/data/extend_segment_times.py --start-padding=0.05 --end-padding=0.05 < $dir/segments.temp > $dir/segments || exit 1
    rm $dir/segments.temp
    utils/data/modify_speaker_info.sh --seconds-per-spk-max 1 $dir data/$set
    utils/validate_data_dir.sh --no-feats data/$set
    rm -r $dir
done
