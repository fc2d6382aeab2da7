# Sourced by ssl1.sh: the options that name sets in, arrays of names out: train_sets, trained, all_sets, formatted_sets.
# shellcheck shell=bash disable=SC2034,SC2154

read -ra train_sets <<< "${train_set}"
read -ra trained <<< "$(trained_sets)"
read -ra all_sets <<< "${trained[*]} ${valid_set} ${old_sets}"
formatted_sets=("${all_sets[@]}")
for dset in ${test_sets}; do
    [[ " ${old_sets} " == *" ${dset} "* ]] || formatted_sets+=("${dset}")
done
