#!/usr/bin/env bash
# Usage: ./ssl1.sh --train_set <set> --valid_set <set> --train_config conf/train_<objective>_<size>.yaml [options]
# Pre-trains one self-supervised model: corpus -> dump/ -> exp/<model>/ -> evaluation -> archive.
# Run it from egs2/<corpus>/ssl1, usually through ./run.sh, which holds the corpus's own values.
set -euo pipefail

. scripts/common/supervised.sh
. scripts/common/options.sh
# --- Labels (stage 5; objectives without labels need none of these)
token_type=               # word for pseudo-labels in dump/<set>/text; char, bpe, word or phn tokens from transcripts.
token_list=               # Token list of dump/<set>/text.
pseudo_labels=            # A hubert1 recipe, such as ../hubert1: takes its last finished k-means. Or a k-means folder. Several label sets: "km100=../hubert1 km500=../other".
pseudo_labels_iter=       # Take this iteration of --pseudo_labels instead; of several label sets one for all, or one for each.
labels_dir=               # Packed labels made elsewhere: <labels_dir>/<set> (hubert1.sh passes this). Several: "<name>=<labels_dir> ...".
cleaner=none              # Cleaner of transcripts: none or tacotron.
g2p=none                  # phn tokens from ordinary text: none or g2p_en.
nbpe=30                   # Size of a bpe token list.
bpe_nlsyms=               # Symbols that bpe never splits, separated by commas.
# --- Training
train_config=             # Training config, conf/train_<objective>_<size>.yaml, of the recipe or the template. Required from stage 6 on.
ssl_args=                 # Overrides of the config, such as "--optim_conf lr=1e-4 --max_update 1000".
init_from=                # Model to continue: exp/<name>, a packed model, hf:<user>/<name>, a file of another toolkit; with a train_continue_ config.
ssl_tag=                  # Suffix of the experiment's name.
ssl_exp=                  # Folder of the experiment instead of exp/ssl_<config>[_<tag>].
# --- end of options

case " $* " in *" --help "* | *" -h "*)
    help_message=$(scripts/common/print_options.sh "$0" scripts/common/options.sh) ;; esac
. utils/log.sh
. utils/parse_options.sh
. scripts/common/checks.sh
. scripts/common/configs.sh
[ $# -eq 0 ] || die "unexpected argument '$1': every option is written --name value; see $0 --help"
. ./path.sh
. ./cmd.sh
check_options
espnet_stage_note
. scripts/common/sets.sh    # train_sets, trained, all_sets (trained and valid) and formatted_sets
config_name=$(basename "${train_config:-none}" .yaml)
ssl_args="${init_from:+--init_from ${init_from} }${ssl_args}"
ssl_exp=${ssl_exp:-${expdir}/ssl_${config_name#train_}${ssl_tag:+_${ssl_tag}}$(args_tag "${ssl_args}")}
. scripts/tokens/label_source.sh    # label_names, label_kmeans, label_dirs and labels_tag; what stages 5, 7 and 9 do with them
trap 'note_stage end "exit status $?"' EXIT

owner=$(dirname "${dumpdir}")
if [ -e "${owner}/path.sh" ] && ! [ "${owner}" -ef . ] && [ "${stage}" -le 4 ]; then
    log "stages 1-4: skipped: --dumpdir ${dumpdir} belongs to another recipe; its index is checked instead"
    for dset in "${formatted_sets[@]}"; do scripts/audio/build_index.sh --python "${python}" "${dumpdir}/${dset}"; done
    [ "${stop_stage}" -lt 4 ] || check_lengths "${train_config}" "${ssl_args}"
    stage=5
fi

if active "${skip_data_prep}" 1 "corpus -> data/{${train_set// /,},${valid_set}${test_sets:+,${test_sets// /,}}}"; then
    read -ra data_options <<< "${local_data_opts}"    # words as they stand: a * is for local/data.sh
    scripts/corpus/run_data.sh ${data_options[@]+"${data_options[@]}"}
    for dset in "${train_sets[@]}" "${valid_set}" ${test_sets} ${old_sets}; do
        [ -d "data/${dset}" ] || die "data/${dset} is missing: local/data.sh has to make it, or change --train_set, --valid_set, --test_sets or --old_sets"
        [ -e "data/${dset}/text" ] && no_text= || no_text=--no-text
        utils/validate_data_dir.sh --no-feats ${no_text} "data/${dset}"
    done
fi

if [ -z "${speed_perturb_factors}" ]; then
    if [ "${stage}" -le 2 ] && [ "${stop_stage}" -ge 2 ]; then log "stage 2: skipped: no --speed_perturb_factors"; fi
elif active "${skip_data_prep}" 2 "data/{${train_set// /,}} -> data/{${trained[*]}}"; then
    for dset in "${train_sets[@]}"; do
        need "data/${dset}/wav.scp" 1
        scripts/audio/perturb_speed.sh --factors "${speed_perturb_factors}" "data/${dset}" "data/${dset}_sp"
    done
fi

if active "${skip_data_prep}" 3 "data/ -> ${dumpdir}/org/{${formatted_sets[*]}}: real ${audio_format} audio at ${fs}Hz"; then
    for dset in "${formatted_sets[@]}"; do
        need "data/${dset}/wav.scp" "$([[ "${dset}" == *_sp ]] && echo 2 || echo 1)"
        scripts/audio/format_wav_scp.sh --nj "${nj}" --cmd "${train_cmd}" --python "${python}" --fs "${fs}" --channel "${channel}" \
            --audio_format "${audio_format}" --max_rejected_ratio "${max_rejected_ratio}" --max_clipped_ratio "${max_clipped_ratio}" --check_audio "${check_audio}" \
            --truncation_tolerance "${truncation_tolerance}" --keep_truncated "${keep_truncated}" --float_full_scale "${float_full_scale}" "data/${dset}" "${dumpdir}/org/${dset}"
    done
fi

if active "${skip_data_prep}" 4 "${dumpdir}/org/ -> ${dumpdir}/{${formatted_sets[*]}}: ${min_wav_duration} to ${max_wav_duration} s"; then
    for dset in "${formatted_sets[@]}"; do
        need "${dumpdir}/org/${dset}/wav.scp" 3
        scripts/audio/filter_by_duration.sh --min_wav_duration "${min_wav_duration}" --python "${python}" \
            --max_wav_duration "${max_wav_duration}" "${dumpdir}/org/${dset}" "${dumpdir}/${dset}"
        scripts/audio/build_index.sh --python "${python}" "${dumpdir}/${dset}"   # stage 5 reads it
    done
    check_lengths "${train_config}" "${ssl_args}"    # hubert1.sh does it for all its configs
fi

if [ -n "${labels_tag}" ]; then
    if active "${skip_data_prep}" 5 "${label_kmeans[*]:-${dumpdir}/<set>/text} -> ${label_dirs[*]}"; then
        for dset in "${all_sets[@]}"; do
            need "${dumpdir}/${dset}/index/index.json" 4
            import_label_sets "${dset}"
        done
    fi
elif [ -n "${token_type}" ]; then
    if active "${skip_data_prep}" 5 "transcripts -> data/${lang}_token_list_${token_type}"; then
        scripts/tokens/make_token_list.sh --token_type "${token_type}" --cleaner "${cleaner}" --g2p "${g2p}" --nbpe "${nbpe}" \
            --bpe_nlsyms "${bpe_nlsyms}" --python "${python}" "$(paths "${dumpdir}" "${trained[*]}")" "data/${lang}_token_list_${token_type}"
    fi
elif [ "${stage}" -le 5 ] && [ "${stop_stage}" -ge 5 ]; then
    log "stage 5: skipped: neither --pseudo_labels nor --token_type is given${labels_dir:+; the labels are in ${labels_dir}}"
fi

if active "${skip_train}" 6 "${dumpdir}/{${all_sets[*]}} -> the memory-mapped index; mel statistics if the config needs them"; then
    for dset in "${all_sets[@]}"; do
        need "${dumpdir}/${dset}/wav.scp" 4
        scripts/audio/build_index.sh --python "${python}" "${dumpdir}/${dset}"
    done
    # shellcheck disable=SC2046
    scripts/audio/mel_statistics.sh --nj "${nj}" --python "${python}" --args "${ssl_args}" "${train_config}" \
        $(paths "${dumpdir}" "${trained[*]}")
fi

if active "${skip_train}" 7 "${train_config} -> ${ssl_exp}"; then
    require_config "${train_config}" > /dev/null
    for dset in "${all_sets[@]}"; do
        need "${dumpdir}/${dset}/index/index.json" 6
        need_label_sets "${dset}"
    done
    scripts/train/train.sh --ngpu "${ngpu}" --num_nodes "${num_nodes}" --num_procs_per_node "${num_procs_per_node}" \
        --cmd "${cuda_cmd}" --requeue "${requeue}" --python "${python}" --tracker "${tracker}" \
        --train_sets "$(paths "${dumpdir}" "${trained[*]}")" --valid_sets "${dumpdir}/${valid_set}" \
        --train_labels "$(label_folders "${trained[*]}")" --valid_labels "$(label_folders "${valid_set}")" \
        --old_sets "$(paths "${dumpdir}" "${old_sets}")" --old_labels "$(label_folders "${old_sets}")" --args "${ssl_args}" "${train_config}" "${ssl_exp}"
fi

if active "${skip_eval}" 8 "${ssl_exp} (${inference_ssl_model}) -> ${ssl_exp}/{eval,report.html}"; then
    need "${ssl_exp}/checkpoints/${inference_ssl_model}" 7
    scripts/eval/evaluate.sh --eval "${eval}" --num_clusters "${eval_num_clusters}" --seeds "${eval_seeds}" --ngpu "${ngpu}" \
        --cmd "${train_cmd}" --cuda_cmd "${cuda_cmd}" --python "${python}" --checkpoint "${inference_ssl_model}" \
        --token_type "${token_type}" --tokens "data/${lang}_token_list_${token_type}" --cleaner "${cleaner}" --g2p "${g2p}" \
        --args "${eval_args}" --alignments "${alignment_phoneme_dir}" --test_sets "$(paths "${dumpdir}" "${test_sets}")" \
        "${dumpdir}/${trained[0]}" "${dumpdir}/${valid_set}" "${ssl_exp}"
fi

packed=${ssl_exp}/packed/$(basename "${ssl_exp}")
if active "${skip_packing}" 9 "${ssl_exp} (${inference_ssl_model}) -> ${packed}.tar.gz"; then
    need "${ssl_exp}/checkpoints/${inference_ssl_model}" 7
    scripts/pack/pack.sh --checkpoint "${inference_ssl_model}" --token_list "${token_list}" --license "${license}" \
        --targets "$(label_targets)" --kmeans "${expdir}/kmeans" \
        --formats "${pack_formats}" --python "${python}" "$(paths "${dumpdir}" "${trained[*]}")" "${ssl_exp}" "${packed}"
fi

if active "${skip_upload_hf}" 10 "${packed} -> ${hf_repo:-Hugging Face}"; then
    need "${packed}/card.json" 9
    "${python}" -m espnet2.bin.ssl_upload --hf_repo "${hf_repo}" "${packed}"
fi
