# Sourced by scripts that are given a training config: which file it is, and which configs there are.
# It is the recipe's own, or where its conf/ has none of that name, the one of the template that path.sh links to.
# The programs look in the same places (espnet2/utils/recipe.py): a script hands on the name as it was typed.
# shellcheck shell=bash

# find_config <config>: the file to read; fails where there is none.
find_config() {
    local recipe=${1%conf/*} in_template
    if [ ! -f "$1" ] && [ -f "${recipe}path.sh" ]; then
        in_template=$(dirname "$(readlink -f "${recipe}path.sh")")/conf/${1##*conf/}
        set -- "${in_template}"
    fi
    [ -f "$1" ] && echo "$1"
}

# require_config <config>: find_config, or one error that names those there are.
require_config() {
    [ -n "$1" ] || die "--train_config is required: one of $(list_configs)"
    find_config "$1" || die "--train_config $1: no such file; there are: $(list_configs)"
}

# args_tag <overrides>: what an experiment's name has of them; of a model to start from its last part, no whole path.
args_tag() {
    sed -E -e 's#(--init_from[ =])([^ ]*[/:])?([^ /:]+)/*#\1\3#g' -e 's#(--init_param[ =])([^ ]*/)?#\1#g' -e 's/--/_/g' <<< "$1" |
        tr -d ' =/.'
}

# list_configs: the training configs of the recipe and of its template, in one line.
list_configs() {
    local file names=()
    for file in conf/train_*.yaml "$(dirname "$(readlink -f path.sh)")"/conf/train_*.yaml; do
        if [ -f "${file}" ]; then names+=("conf/${file##*/}"); fi
    done
    printf '%s\n' ${names[@]+"${names[@]}"} | sort -u | paste -s -d ' '
}
