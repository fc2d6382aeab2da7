# Sourced by ssl1.sh: its label options in; kmeans_dir, labels_tag, labels_dir and label_text, where labels come from, out.
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

# The labels of stage 5 have a fixed place, so that a later call with the same options finds them.
kmeans_dir=
labels_tag=
if [ -n "${pseudo_labels}" ] && [ "${stage}" -le 7 ] && [ "${stop_stage}" -ge 5 ]; then
    kmeans_dir=$(scripts/tokens/find_kmeans.sh "${pseudo_labels}" "${pseudo_labels_iter}")
    labels_tag=$(basename "${kmeans_dir}")
elif [ "${token_type}" = word ] && [ -n "${token_list}" ]; then
    labels_tag=text
fi
labels_dir=${labels_dir:-${labels_tag:+${dumpdir}/packed_labels/${labels_tag}}}

# label_text <set>: the text that stage 5 packs.
label_text() {
    if [ -n "${kmeans_dir}" ]; then echo "${kmeans_dir}/labels/$1.txt"; else echo "${dumpdir}/$1/text"; fi
}
