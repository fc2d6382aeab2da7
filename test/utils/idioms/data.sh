#!/usr/bin/env bash
# Two archives on a web server in, data/{train_nodup,train_dev,test} out: a local/data.sh as people write them for Kaldi and
# ESPnet, with as many of their habits as fit. For tests only.
set -euo pipefail

log() {
    local fname=${BASH_SOURCE[1]##*/}
    echo -e "$(date '+%Y-%m-%dT%H:%M:%S') (${fname}:${BASH_LINENO[0]}:${FUNCNAME[1]}) $*"
}
help_message=$(cat << EOF
Usage: $0 --url <address> [options]
  --url      where the archives are
  --num-dev  utterances to hold out
EOF
)
SECONDS=0
stage=1
stop_stage=100000
url=
num_dev=3
cleanup=true

log "$0 $*"
. utils/parse_options.sh

. ./db.sh
. ./path.sh
. ./cmd.sh

if [ $# -ne 0 ] || [ -z "${url}" ]; then
    log "${help_message}"
    log "Error: No positional arguments are required, and --url is"
    exit 2
fi
root=downloads
nj=2

if [ ${stage} -le 1 ] && [ ${stop_stage} -ge 1 ]; then
    log "stage 1: download"
    mkdir -p ${root}
    # shellcheck disable=SC2043
    for part in telephone; do
        if [ ! -e ${root}/${part}/.complete ]; then
            wget --no-check-certificate -q -O - "${url}/${part}.tar.gz" | tar -xzf - -C ${root} || exit 1
            touch ${root}/${part}/.complete
        fi
    done
    if [ ! -e ${root}/meeting ]; then
        wget -q -P ${root} "${url}/meeting.tgz"
        (cd ${root} && tar zxf meeting.tgz && rm meeting.tgz)
    fi
fi

if [ ${stage} -le 2 ] && [ ${stop_stage} -ge 2 ]; then
    log "stage 2: telephone: SPHERE files with upper-case names, one file per utterance, two channels"
    tmp=$(mktemp -d "${TMPDIR:-/tmp}/prep-XXXXX")
    dir=data/telephone
    mkdir -p ${dir} ${dir}/local
    find -L ${root}/telephone -type f -iname '*.sph' | LC_ALL=C sort > "${tmp}/flist"
    sed -e 's?.*/??' -e 's?\.[sS][pP][hH]$??' "${tmp}/flist" | tr '[:upper:]' '[:lower:]' > "${tmp}/uttids"
    paste -d' ' "${tmp}/uttids" "${tmp}/flist" \
        | awk '{printf("%s sph2pipe -f wav -p -c 1 %s |\n", $1, $2);}' | sort -k1,1 -u > ${dir}/wav.scp
    awk '{split($1, part, "_"); print $1, part[1]}' ${dir}/wav.scp | sort > ${dir}/utt2spk
    tr -d '\r' < ${root}/telephone/trans.txt | awk 'NF > 1 {id = tolower($1); $1 = ""; print id $0}' \
        | sed -e 's/\[[^]]*\]//g' -e 's/  */ /g' -e 's/ $//' | sort -u -k1,1 > ${dir}/local/text.all
    utils/filter_scp.pl ${dir}/utt2spk ${dir}/local/text.all > ${dir}/text
    cut -d' ' -f2 ${dir}/utt2spk | sort -u | awk '{g = substr($1, 1, 1); print $1, g}' > ${dir}/spk2gender
    utils/utt2spk_to_spk2utt.pl ${dir}/utt2spk > ${dir}/spk2utt
    utils/validate_data_dir.sh --no-feats ${dir} && { log "should be refused: a text is missing"; exit 1; }
    utils/fix_data_dir.sh ${dir}    # one utterance has no transcript
    utils/validate_data_dir.sh --no-feats ${dir} || exit 1
    rm -r "${tmp}"
fi

if [ ${stage} -le 3 ] && [ ${stop_stage} -ge 3 ]; then
    log "stage 3: meeting: long recordings and segments"
    dir=data/meeting
    mkdir -p ${dir}
    for wav in "${root}"/meeting/*.flac; do
        echo "$(basename "${wav}" .flac) flac -c -d -s ${wav} |"
    done | sort > ${dir}/wav.scp
    # <recording> <channel> <speaker> <start> <end> <words>, comments with ;;
    grep -v '^;;' ${root}/meeting/all.stm | awk '{
        utt = sprintf("%s_%s_%06.0f_%06.0f", $3, $1, $4 * 100, $5 * 100);
        print utt, $1, $4, $5 > "'${dir}'/segments.unsorted";
        print utt, $3 > "'${dir}'/utt2spk.unsorted";
        printf("%s", utt) > "'${dir}'/text.unsorted";
        for (i = 6; i <= NF; i++) printf(" %s", $i) > "'${dir}'/text.unsorted";
        printf("\n") > "'${dir}'/text.unsorted";
    }'
    for f in segments utt2spk text; do
        sort ${dir}/${f}.unsorted | uniq > ${dir}/${f}
        rm ${dir}/${f}.unsorted
    done
    utils/utt2spk_to_spk2utt.pl < ${dir}/utt2spk > ${dir}/spk2utt
    utils/spk2utt_to_utt2spk.pl ${dir}/spk2utt | sort | cmp - ${dir}/utt2spk
    utils/data/get_utt2dur.sh --nj ${nj} --cmd "${train_cmd}" ${dir}
    awk '$2 < 0.25 {print $1}' ${dir}/utt2dur > ${dir}/too_short
    utils/filter_scp.pl --exclude ${dir}/too_short ${dir}/text > ${dir}/text.tmp && mv ${dir}/text.tmp ${dir}/text
    utils/fix_data_dir.sh ${dir}
    utils/validate_data_dir.sh --no-feats ${dir}
fi

if [ ${stage} -le 4 ] && [ ${stop_stage} -ge 4 ]; then
    log "stage 4: together, and divided again"
    utils/copy_data_dir.sh --utt-prefix tel- --spk-prefix tel- data/telephone data/tel_prefixed
    utils/combine_data.sh --extra_files "utt2num_frames" data/all data/tel_prefixed data/meeting
    utils/subset_data_dir.sh --first data/all ${num_dev} data/train_dev
    n=$(($(wc -l < data/all/utt2spk) - num_dev))
    utils/subset_data_dir.sh --last data/all ${n} data/train
    utils/data/remove_dup_utts.sh 2 data/train data/train_nodup
    utils/subset_data_dir.sh --per-spk data/meeting 1 data/test
    cut -d' ' -f1 data/test/spk2utt | head -n 1 > data/one_speaker
    utils/subset_data_dir.sh --spk-list data/one_speaker data/test data/test_one
    utils/data/perturb_data_dir_speed_3way.sh data/train_nodup data/train_nodup_sp
    cut -f1 -d' ' data/train_nodup/text | utils/shuffle_list.pl --srand 1 | head -n 2 | sort > data/two
    utils/subset_data_dir.sh --utt-list data/two data/train_nodup data/train_two
    utils/split_data.sh --per-utt data/train_nodup 2
    for dset in train_nodup train_dev test test_one train_nodup_sp train_two; do
        utils/validate_data_dir.sh --no-feats data/${dset}
    done
fi
if ${cleanup}; then rm -rf data/tel_prefixed data/all; fi
log "Successfully finished. [elapsed=${SECONDS}s]"
