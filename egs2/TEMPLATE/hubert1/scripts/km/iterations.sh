# Sourced by hubert1.sh: the option lists in, arrays (one value per iteration) and the names made of them out.
# shellcheck shell=bash disable=SC2154

read -ra configs <<< "${train_configs}"
read -ra clusters <<< "${n_clusters}"
read -ra features <<< "${features_km}"
read -ra layers <<< "${layers_km}"
read -ra portions <<< "${portion_km}"
read -ra normalizations <<< "${normalize_km}"
read -ra pca_dims <<< "${pca_dim_km}"
read -ra whiten_dims <<< "${whiten_dim_km}"
read -ra smooth_widths <<< "${smooth_frames_km}"

[ "${#configs[@]}" -gt 0 ] || die "--train_configs is required: one config per iteration, for example --train_configs \"conf/train_hubert_mini.yaml conf/train_hubert_mini.yaml\""
for list in n_clusters:${#clusters[@]} features_km:${#features[@]} layers_km:${#layers[@]} portion_km:${#portions[@]}; do
    [ "${list#*:}" -eq "${#configs[@]}" ] ||
        die "--${list%:*} has ${list#*:} values, --train_configs has ${#configs[@]}: every list needs one value per iteration"
done
for list in normalize_km:${#normalizations[@]} pca_dim_km:${#pca_dims[@]} whiten_dim_km:${#whiten_dims[@]} \
    smooth_frames_km:${#smooth_widths[@]}; do
    [ "${list#*:}" -eq 1 ] || [ "${list#*:}" -eq "${#configs[@]}" ] ||
        die "--${list%:*} has ${list#*:} values, --train_configs has ${#configs[@]}: give one value for all iterations, or one for each"
done
for ((i = 1; i < ${#configs[@]}; i++)); do    # one value serves all
    normalizations[i]=${normalizations[i]-${normalizations[0]}}
    pca_dims[i]=${pca_dims[i]-${pca_dims[0]}}
    whiten_dims[i]=${whiten_dims[i]-${whiten_dims[0]}}
    smooth_widths[i]=${smooth_widths[i]-${smooth_widths[0]}}
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
            [[ "${layers[i]}" =~ ^[1-9][0-9]*(\+[1-9][0-9]*)*$ ]] ||
                die "--layers_km: '${layers[i]}' of iteration ${i} is not a layer (1 is the first), nor layers to join (1+2+3)" ;;
        *) die "--features_km: unknown '${features[i]}'; known are mfcc and espnet_hubert" ;;
    esac
    case "${normalizations[i]}" in
        none | utterance-mean | utterance-mean-variance | speaker-mean | speaker-mean-variance) ;;
        *) die "--normalize_km: unknown '${normalizations[i]}'; known are none, utterance-mean, utterance-mean-variance, speaker-mean and speaker-mean-variance" ;;
    esac
    [[ "${smooth_widths[i]}" =~ ^[0-9]*[13579]$ ]] ||
        die "--smooth_frames_km: '${smooth_widths[i]}' is not an odd number of frames, such as 1 (no smoothing) or 3"
    [[ "${pca_dims[i]}" =~ ^[0-9]+$ ]] || die "--pca_dim_km: '${pca_dims[i]}' is not a number of dimensions (0: no PCA)"
    [[ "${whiten_dims[i]}" =~ ^[0-9]+$ ]] ||
        die "--whiten_dim_km: '${whiten_dims[i]}' is not a number of dimensions (0: no whitening)"
    [ "${pca_dims[i]}" -eq 0 ] || [ "${whiten_dims[i]}" -eq 0 ] ||
        die "--pca_dim_km ${pca_dims[i]} --whiten_dim_km ${whiten_dims[i]}: whitening is a scaled PCA; give one of the two for iteration ${i}"
done

[ -z "${teacher}" ] || [ "${features[0]}" != mfcc ] ||
    die "--teacher ${teacher}: iteration 0 clusters mfcc; write --features_km \"espnet_hubert ...\" and its --layers_km"

# kmeans_name <iteration>: all that tells its units from others, for example iter1_espnet_hubert_l6_km500 or
# iter1_espnet_hubert_l1+2+3_utterance-mean_whiten64_smooth3_km500.
kmeans_name() {
    local name
    name=iter$1_${features[$1]}
    [ "${features[$1]}" = mfcc ] || name+=_l${layers[$1]}
    [ "${normalizations[$1]}" = none ] || name+=_${normalizations[$1]}
    [ "${pca_dims[$1]}" -eq 0 ] || name+=_pca${pca_dims[$1]}
    [ "${whiten_dims[$1]}" -eq 0 ] || name+=_whiten${whiten_dims[$1]}
    [ "${smooth_widths[$1]}" -eq 1 ] || name+=_smooth${smooth_widths[$1]}
    echo "${name}_km${clusters[$1]}"
}

# experiment <iteration>: the folder of its model.
experiment() {
    local config name
    config=$(basename "${configs[$1]}" .yaml)
    name=$(kmeans_name "$1")
    config=${config#train_}
    echo "${expdir}/hubert_iter$1_${config#hubert_}_${name#iter"$1"_}${hubert_tag:+_${hubert_tag}}"
}
