# shellcheck shell=bash disable=SC2034
# Sourced by local/data.sh behind its options: log and die, and what path.sh, cmd.sh and db.sh say; no words are left over.
# Gives find_root, for corpora that local/download.sh fetches, and prepare_sets, which runs local/prepare.py and publishes.

. utils/log.sh
[ $# -eq 0 ] || die "unexpected argument '$1'; $0 --help lists the options"
# shellcheck disable=SC1090
for setup in path.sh cmd.sh db.sh; do
    if [ -e "${setup}" ]; then . "./${setup}"; fi
done

# find_root <name> <own folder>: ${root} is the own folder, or without one <name> below downloads/, here or where the other
# recipe of the corpus has fetched it; else it is fetched now.
find_root() {
    root=$2
    if [ -n "${root}" ] && [ "${root}" != downloads ]; then return; fi
    for root in "downloads/$1" ../*/downloads/"$1"; do
        if [ -d "${root}" ]; then return; fi
    done
    root="downloads/$1"
    local/download.sh downloads
}

# prepare_sets "<set> ..." [<option of local/prepare.py>...]: ${root} -> data/<set>; "" publishes every set that is made.
# With --work data/.work a stopped call goes on; once the sets are there, nothing of it is kept.
prepare_sets() {
    local names=$1 sets
    shift
    rm -rf data/.new
    python3 local/prepare.py --root "${root}" --output_dir data/.new "$@"
    read -ra sets <<< "${names:-$(cd data/.new && echo *)}"
    scripts/corpus/publish_sets.sh data/.new "${sets[@]}"
    rm -rf data/.work
}
