# Sourced by ssl1.sh and hubert1.sh: what must be there before a stage, said in one line when it is not.
# shellcheck shell=bash

# need <file or folder> <stage that makes it> [<further options>]: stop unless it exists.
need() {
    [ -e "$1" ] || die "$1 is missing: stage $2 makes it; run ./run.sh --stage $2${3:+ $3} first"
}

# unchanged <source> <file made from it> <stage that makes it>: stop if the source is newer.
unchanged() {
    [ ! "$1" -nt "$2" ] || die "$1 changed after stage $3 made $2 from it; run ./run.sh --stage $3 again"
}

# check_options: what no stage can work without.
# shellcheck disable=SC2154
check_options() {
    [ "${feats_type}" = raw ] || die "--feats_type ${feats_type}: only 'raw' exists; features are computed in the model"
    [ -n "${train_set}" ] || die "--train_set is required: the name of a folder of data/, for example --train_set train"
    [ -n "${valid_set}" ] || die "--valid_set is required: the name of a folder of data/, for example --valid_set dev"
    local dset further=()
    for dset in ${test_sets}; do
        [[ " ${train_set} " != *" ${dset} "* ]] || die "--test_sets ${dset}: it is in --train_set; name sets that are not trained on"
        if [ "${dset}" != "${valid_set}" ]; then further+=("${dset}"); fi    # the valid set is evaluated on anyway
    done
    test_sets="${further[*]-}"
    for dset in ${old_sets}; do
        [[ " ${train_set} ${valid_set} " != *" ${dset} "* ]] ||
            die "--old_sets ${dset}: it is in --train_set or --valid_set; name sets of the domain that the model of --init_from comes from"
    done
    case "${audio_format}" in
        wav | flac | wav.ark | flac.ark | as_is) ;;
        *) die "--audio_format ${audio_format}: expected wav, flac, wav.ark, flac.ark or as_is" ;;
    esac
    local name
    for name in stage stop_stage ngpu num_nodes nj; do
        [[ "${!name}" =~ ^[0-9]+$ ]] || die "--${name} '${!name}': expected a whole number"
    done
    [ "${nj}" -gt 0 ] || die "--nj 0: expected at least one job"
}

# active <skip flag> <number> <title>: in_stage, unless the flag says true; says why a wanted stage is skipped.
active() {
    if [ "$1" = true ]; then
        if [ "${stage}" -le "$2" ] && [ "${stop_stage}" -ge "$2" ]; then log "stage $2: skipped by --skip_*: $3"; fi
        return 1
    fi
    in_stage "$2" "$3" || return 1
    lock_stage "$2"
    note_stage "$2" "$3"
}

# lock_stage <number>: one run at a time prepares the data of a recipe, or evaluates a model. Trainings of different
# exp/<name> may share a recipe; each of them locks its own folder (ssl_train).
# shellcheck disable=SC2154
lock_stage() {
    local lock="utils/python.sh -SE utils/run_lock.py" folders=(.)
    [ ! -d "${dumpdir}" ] || folders+=("${dumpdir}")    # another recipe's, too
    case "$1" in
        [1-6]) ${lock} take "${folders[@]}" ;;
        8) ${lock} release "${folders[@]}"; ${lock} take "${ssl_exp}/eval" ;;
        *) ${lock} release "${folders[@]}" ${ssl_exp:+"${ssl_exp}/eval"} ;;
    esac || exit 1
}

# paths <folder> <sets>: "<folder>/<set> ..." for each set.
paths() {
    local folder=$1 out=() dset
    for dset in $2; do out+=("${folder}/${dset}"); done
    echo "${out[*]}"
}

# trained_sets: the sets that training reads: those of --train_set, or their speed-perturbed copies of stage 2.
# shellcheck disable=SC2154
trained_sets() {
    local dset out=()
    for dset in ${train_set}; do out+=("${dset}${speed_perturb_factors:+_sp}"); done
    echo "${out[*]}"
}

# check_lengths <config> [<overrides>]: stop where utterances are too short for the objective. Without a config nothing
# is known yet: stage 7 compares then.
# shellcheck disable=SC2154
check_lengths() {
    [ -n "$1" ] || return 0
    require_config "$1" > /dev/null
    # shellcheck disable=SC2086
    "${python}" -m espnet2.bin.ssl_check_lengths --config "$1" --train_sets "$(paths "${dumpdir}" "$(trained_sets)")" \
        --valid_sets "${dumpdir}/${valid_set}" ${2:-}
}

# note_stage <number> <title>: one line of ${expdir}/stages.tsv per started stage; the next line's time is its end.
# shellcheck disable=SC2154
note_stage() {
    mkdir -p "${expdir}"
    printf '%s\t%s\t%s\t%s\n' "$(date +%s)" "${0##*/}" "$1" "$2" >> "${expdir}/stages.tsv"
}

# espnet_stage_note: for those who know ESPnet's numbers. hubert1.sh switches it off in the ssl1.sh that it calls.
# shellcheck disable=SC2154
espnet_stage_note() {
    [[ "${stage_note:-true}" = true && "${stage}" =~ ^[89]$ ]] || return 0
    log "stage numbers differ from ESPnet's: here 8 evaluates, 9 packs and 10 uploads (there 8 packs and 9 uploads)"
}
