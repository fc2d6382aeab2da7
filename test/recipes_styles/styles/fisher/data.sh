#!/usr/bin/env bash
# Telephone calls, two channels in a SPHERE file, segments by channel: Fisher's and Switchboard's kind. For tests only.
set -euo pipefail

. ./path.sh || exit 1
. ./cmd.sh || exit 1
. ./db.sh || exit 1
. utils/parse_options.sh || exit 1

sph2pipe=sph2pipe
if ! command -v "${sph2pipe}" &> /dev/null; then
    echo "Could not find (or execute) the sph2pipe program at $sph2pipe"
    exit 1
fi
dir=data/local/train
mkdir -p $dir data/all
find -L $SWBD/audio -iname '*.sph' | sort > $dir/sph.flist
sed -e 's?.*/??' -e 's?.sph??' $dir/sph.flist | paste - $dir/sph.flist > $dir/sph.scp
awk -v sph2pipe=$sph2pipe '{
    printf("%s-A %s -f wav -p -c 1 %s |\n", $1, sph2pipe, $2);
    printf("%s-B %s -f wav -p -c 2 %s |\n", $1, sph2pipe, $2);
}' < $dir/sph.scp | sort > data/all/wav.scp || exit 1
awk '{print $1, substr($1, 1, length($1) - 2), substr($1, length($1))}' data/all/wav.scp > data/all/reco2file_and_channel
# sw2001A-ms98-a-0001 0.10 0.80 words
cat $SWBD/trans/*.txt | awk '{
    name = substr($1, 1, 6); side = substr($1, 7, 1); start = $2; end = $3;
    printf("%s-%s_%06.0f-%06.0f", name, side, start * 100, end * 100);
    for (i = 4; i <= NF; i++) printf(" %s", tolower($i)); printf "\n";
}' | sort > data/all/text
awk '{
    split($1, S, "[_-]"); reco = S[1] "-" S[2];
    printf("%s %s %.2f %.2f\n", $1, reco, S[3] / 100, S[4] / 100);
}' < data/all/text > data/all/segments
awk '{print $1, substr($1, 1, 8)}' data/all/segments > data/all/utt2spk
utils/utt2spk_to_spk2utt.pl data/all/utt2spk > data/all/spk2utt
utils/fix_data_dir.sh data/all
utils/data/remove_dup_utts.sh 2 data/all data/nodup
utils/subset_data_dir_tr_cv.sh --cv-spk-percent 50 data/nodup data/train data/dev
utils/data/get_reco2dur.sh --cmd "${train_cmd}" --nj 2 data/all
