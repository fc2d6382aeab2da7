#!/usr/bin/env bash
# Long calls cut by hand, cut again finer, and whole: a recipe of Kaldi with its own names of things. For tests only.
set -euo pipefail

. ./path.sh || exit 1
. ./cmd.sh || exit 1
. ./db.sh || exit 1
. utils/parse_options.sh || exit 1

export PATH=$PWD/utils:$KALDI_ROOT/egs/wsj/s5/utils:$PATH
dir=data/conversations
mkdir -p $dir
for t in $BABEL/transcription/*.txt; do
    reco=$(basename $t .txt)
    echo "$reco $KALDI_ROOT/tools/sph2pipe_v2.5/sph2pipe -f wav -p -c 1 $BABEL/audio/$reco.sph |" >> $dir/wav.scp
    # [0.000] and words on lines of their own
    awk -v reco=$reco '/^\[/ { gsub(/[\[\]]/, ""); if (words) printf("%s_%06d %s %.2f %.2f%s\n", reco, start * 100, reco, start, $1, words); start = $1; words = ""; next } { words = words " " $0 }' $t
done > $dir/all
cut -d' ' -f1-4 $dir/all > $dir/segments
cut -d' ' -f1,5- $dir/all > $dir/text
awk '{print $1, $2}' $dir/segments > $dir/utt2spk
utt2spk_to_spk2utt.pl $dir/utt2spk > $dir/spk2utt
cp $dir/all $dir/transcript
fix_data_dir.sh $dir
utils/data/convert_data_dir_to_whole.sh $dir data/whole
awk '{print $1 "-1", $1, 0, ($4 - $3) / 2; print $1 "-2", $1, ($4 - $3) / 2, $4 - $3}' $dir/segments > data/halves
utils/data/subsegment_data_dir.sh $dir data/halves data/halved
utils/validate_data_dir.sh --no-text --no-feats data/halved
steps/compute_cmvn_stats.sh data/halved exp/make_mfcc/halved mfcc
