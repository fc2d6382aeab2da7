# Sourced by hubert1.sh: the option lists in, arrays (one value per iteration) and the names made of them out.
# shellcheck shell=bash disable=SC2154

read -ra configs <<< "${train_configs}"
read -ra clusters <<< "${n_clusters}"
read -ra features <<< "${features_km}"
read -ra layers <<< "${layers_km}"
read -ra portions <<< "${portion_km}"

[ "${#configs[@]}" -gt 0 ] || die "--train_configs is required: one config per iteration, for example --train_configs \"conf/train_hubert_mini.yaml conf/train_hubert_mini.yaml\""
for list in n_clusters:${#clusters[@]} features_km:${#features[@]} layers_km:${#layers[@]} portion_km:${#portions[@]}; do
    [ "${list#*:}" -eq "${#configs[@]}" ] ||
        die "--${list%:*} has ${list#*:} values, --train_configs has ${#configs[@]}: every list needs one value per iteration"
done
train_stop_iter=${train_stop_iter:-$((${#configs[@]} - 1))}
[[ "${train_start_iter}" =~ ^[0-9]+$ && "${train_stop_iter}" =~ ^[0-9]+$ ]] ||
    die "--train_start_iter '${train_start_iter}' --train_stop_iter '${train_stop_iter}': expected whole numbers from 0"
[ "${train_start_iter}" -le "${train_stop_iter}" ] ||
    die "--train_start_iter ${train_start_iter} is after --train_stop_iter ${train_stop_iter}"
[ "${train_stop_iter}" -lt "${#configs[@]}" ] ||
    die "--train_stop_iter ${train_stop_iter}: the lists describe iterations 0 to $((${#configs[@]} - 1))"
for ((i = 0; i < ${#configs[@]}; i++)); do
    [[ "${clusters[i]}" =~ ^[1-9][0-9]*$ ]] || die "--n_clusters: '${clusters[i]}' is not a whole number above 0"
    case "${features[i]}" in
        mfcc) ;;
        espnet_hubert)
            [ "${i}" -gt 0 ] || [ -n "${teacher}" ] ||
                die "--features_km: iteration 0 has no model before it; its features must be mfcc, or give --teacher"
            [[ "${layers[i]}" =~ ^[1-9][0-9]*$ ]] || die "--layers_km: '${layers[i]}' of iteration ${i} is not a layer (1 is the first)" ;;
        *) die "--features_km: unknown '${features[i]}'; known are mfcc and espnet_hubert" ;;
    esac
done

[ -z "${teacher}" ] || [ "${features[0]}" != mfcc ] ||
    die "--teacher ${teacher}: iteration 0 clusters mfcc; write --features_km \"espnet_hubert ...\" and its --layers_km"

# kmeans_name <iteration>: all that tells its units from others, for example iter1_espnet_hubert_l6_km500.
kmeans_name() {
    local layer=
    [ "${features[$1]}" = mfcc ] || layer=_l${layers[$1]}
    echo "iter$1_${features[$1]}${layer}_km${clusters[$1]}"
}

# experiment <iteration>: the folder of its model.
experiment() {
    local config name
    config=$(basename "${configs[$1]}" .yaml)
    name=$(kmeans_name "$1")
    config=${config#train_}
    echo "${expdir}/hubert_iter$1_${config#hubert_}_${name#iter"$1"_}${hubert_tag:+_${hubert_tag}}"
}
