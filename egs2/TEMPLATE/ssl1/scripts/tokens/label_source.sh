# Sourced by ssl1.sh: its label options in; where the labels of each label set come from and go to, and what stages do with them, out.
# shellcheck shell=bash disable=SC2154

[ -z "${pseudo_labels}" ] || [ -z "${token_type}${token_list}" ] ||
    die "--pseudo_labels ${pseudo_labels} and --token_type/--token_list are two sources of labels: give one (--pseudo_labels \"\" takes the first back)"

# A recipe's run.sh may name labels for its usual config; a method with targets of its own leaves them alone.
if [ -n "${pseudo_labels}" ] && find_config "${train_config}" > /dev/null && [ "${stage}" -le 7 ] && [ "${stop_stage}" -ge 5 ]; then
    # shellcheck disable=SC2086
    needs_labels=$("${python}" -m espnet2.bin.ssl_train --config "${train_config}" ${ssl_args} --print_needs_labels)
    if [ "${needs_labels}" = false ]; then
        log "labels: ${train_config} trains on none; --pseudo_labels ${pseudo_labels} is left aside"
        pseudo_labels=
    fi
fi

# One entry for each label set: its name (empty where there is one only), its k-means (or empty) and its packed labels.
label_names=()
label_kmeans=()
label_dirs=()
labels_tag=    # not empty where stage 5 has to pack labels

# label_words <option> <value>: fills label_names and label_words with the "<name>=<folder>" of a value, or with the one
# folder that it is.
label_words() {
    local word
    label_names=() label_words=("$2")
    if ! [[ "$2" =~ ^[A-Za-z][A-Za-z0-9_-]*= ]]; then label_names=(""); return; fi
    read -ra label_words <<< "$2"
    for word in "${label_words[@]}"; do
        [[ "${word}" =~ ^[A-Za-z][A-Za-z0-9_-]*=. ]] ||
            die "$1: '${word}' has no name, but other label sets have; write \"<name>=<folder> <name>=<folder>\""
        [[ " ${label_names[*]-} " != *" ${word%%=*} "* ]] || die "$1: two label sets are called ${word%%=*}"
        label_names+=("${word%%=*}")
    done
    label_words=("${label_words[@]#*=}")
}

# The labels of stage 5 have a fixed place, so that a later call with the same options finds them.
if [ -n "${pseudo_labels}" ] && [ "${stage}" -le 7 ] && [ "${stop_stage}" -ge 5 ]; then
    label_words --pseudo_labels "${pseudo_labels}"
    read -ra iterations <<< "${pseudo_labels_iter}"
    [ "${#iterations[@]}" -le 1 ] || [ "${#iterations[@]}" -eq "${#label_names[@]}" ] ||
        die "--pseudo_labels_iter has ${#iterations[@]} values for ${#label_names[@]} label sets: give one for all, or one for each"
    for number in "${!label_names[@]}"; do
        kmeans=$(scripts/tokens/find_kmeans.sh "${label_words[number]}" "${iterations[number]-${iterations[0]-}}")
        label_kmeans+=("${kmeans}")
        label_dirs+=("${dumpdir}/packed_labels/${label_names[number]:+${label_names[number]}_}$(basename "${kmeans}")")
    done
    labels_tag=kmeans
    [ -z "${labels_dir}" ] || [ -z "${label_names[0]}" ] ||
        die "--labels_dir ${labels_dir} and the label sets of --pseudo_labels are two sources of labels: give one"
    [ -z "${labels_dir}" ] || label_dirs=("${labels_dir}")
elif [ "${token_type}" = word ] && [ -n "${token_list}" ]; then
    label_names=("") label_dirs=("${labels_dir:-${dumpdir}/packed_labels/text}") labels_tag=text
elif [ -n "${labels_dir}" ]; then
    label_words --labels_dir "${labels_dir}"
    label_dirs=("${label_words[@]}")
fi

# label_text <number of a label set> <set>: the text that stage 5 packs.
label_text() {
    if [ -n "${label_kmeans[$1]-}" ]; then echo "${label_kmeans[$1]}/labels/$2.txt"; else echo "${dumpdir}/$2/text"; fi
}

# import_label_sets <set>: the text of each label set, packed.
import_label_sets() {
    local number
    for number in "${!label_names[@]}"; do
        scripts/tokens/import_labels.sh --python "${python}" --token_list "${token_list:-${label_kmeans[number]-}/tokens.txt}" \
            --text "$(label_text "${number}" "$1")" "${dumpdir}/$1" "${label_dirs[number]}/$1"
    done
}

# need_label_sets <set>: stop unless its labels are packed, and no older than their texts.
need_label_sets() {
    local number
    for number in "${!label_names[@]}"; do
        need "${label_dirs[number]}/$1/labels.json" 5
        [ -z "${labels_tag}" ] || unchanged "$(label_text "${number}" "$1")" "${label_dirs[number]}/$1/labels.json" 5
    done
}

# label_folders "<set> ...": the packed labels of these sets, as ssl_train takes them: "<folder> ..." or "<name>=<folder> ...".
label_folders() {
    local number dset out=()
    for number in "${!label_names[@]}"; do
        for dset in $1; do out+=("${label_names[number]:+${label_names[number]}=}${label_dirs[number]}/${dset}"); done
    done
    echo "${out[*]-}"
}

# label_targets: the k-means folders of the labels, one a line.
label_targets() {
    local number
    for number in "${!label_names[@]}"; do
        echo "${label_kmeans[number]:-$(dirname "${label_dirs[number]}")}"
    done
}
