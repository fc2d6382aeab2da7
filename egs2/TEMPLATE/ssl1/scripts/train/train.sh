#!/usr/bin/env bash
# Formatted sets and a training config in, exp/<name>/checkpoints out, and exp/<name>/run.sh, which goes on after a stop.
# Usage: scripts/train/train.sh --train_sets "dump/a dump/b" --valid_sets dump/dev <config> <exp dir>
set -euo pipefail

ngpu=1
num_nodes=1
num_procs_per_node=    # empty: one for each GPU; one on a CPU
requeue=true           # a job that saved before its time was up goes back into the queue
cmd=run.pl
python=python3
train_sets=
valid_sets=
train_labels=
valid_labels=
old_sets=         # of the domain that the model of init_from comes from
old_labels=
tracker=          # tools that show the run; empty: those of the config
args=             # overrides of the config

. utils/log.sh
. utils/parse_options.sh
. scripts/common/jobs.sh
. scripts/common/configs.sh
[ $# -eq 2 ] || die "Usage: $0 [options] <train config> <exp dir>"
config=$1
exp=$2
require_config "${config}" > /dev/null

case "${cmd%% *}" in
    run.pl | stdout.pl) local=true ;;
    *) local=false ;;
esac
processes=${num_procs_per_node:-$((ngpu > 0 ? ngpu : 1))}
[ "${ngpu}" -eq 0 ] || [ "${processes}" -eq "${ngpu}" ] ||
    die "--num_procs_per_node ${processes} with --ngpu ${ngpu}: every GPU has one process; leave it out"
if [ "${local}" = true ] && [ "${num_nodes}" -gt 1 ]; then
    # Each node is started by hand, or by a job of the user's own; the place of this one is in the environment.
    [ -n "${NODE_RANK:-}" ] || utils/python.sh -SE utils/in_cluster_job.py ||
        die "--num_nodes ${num_nodes} on this machine: set cmd_backend in cmd.sh to your cluster's; or start it on" \
            "each node, with NODE_RANK (0 to $((num_nodes - 1))) and MASTER_ADDR (host of node 0) in the environment"
fi

launcher=("${python}" -m)
if [ "${num_nodes}" -gt 1 ] || [ "${processes}" -gt 1 ]; then
    launcher=("${python}" -m espnet2.bin.launch --nnodes "${num_nodes}" --nproc_per_node "${processes}" -m)
fi

# path.sh gives every job one thread; training without a GPU wants all cores (the config's num_threads says otherwise).
[ "${ngpu}" -gt 0 ] || launcher=(env -u OMP_NUM_THREADS "${launcher[@]}")

mkdir -p "${exp}"
node=${NODE_RANK:+.node${NODE_RANK}}    # nodes started by hand share the folder, not these files
log=${exp}/train_job${node}.log
run_script=${exp}/run.sh.new${node}
read -ra overrides <<< "${args}"
command=("${launcher[@]}" espnet2.bin.ssl_train --config "${config}" --output_dir "${exp}" --ngpu "${ngpu}"
    --train_sets "${train_sets}" --valid_sets "${valid_sets}")
[ -z "${train_labels}" ] || command+=(--train_labels "${train_labels}" --valid_labels "${valid_labels}")
[ -z "${old_sets}" ] || command+=(--old_sets "${old_sets}")
[ -z "${old_labels}" ] || command+=(--old_labels "${old_labels}")
[ -z "${tracker}" ] || command+=(--tracker "${tracker}")
command+=("${overrides[@]}")
# On this machine a signal is a user's, who wants an end; only a queue takes its machine back and starts a job again.
[ "${local}" = false ] || requeue=false
read -ra job <<< "${cmd} --gpu ${ngpu} --requeue ${requeue}"
[ "${local}" = true ] || job+=(--num-nodes "${num_nodes}")
on_queue=()    # run.sh goes where this training goes
[ "${local}" = true ] || on_queue=("${job[@]}" "${log}")

{
    echo "#!/usr/bin/env bash"
    echo "# Goes on with this training from its last checkpoint; further options override the config."
    echo "set -euo pipefail"
    printf 'cd %q\n. ./path.sh\nexec' "${PWD}"
    literal "${command[@]}"
    [ "${local}" = false ] || literal_words=("${command[@]}")
    printf ' %q' "${on_queue[@]}" "${literal_words[@]}"
    # shellcheck disable=SC2016
    echo ' "$@"'
} > "${run_script}"
chmod +x "${run_script}"
# A call that is refused (other data, other settings) leaves the run.sh of the run that is there.
command+=(--resume_script "${run_script}")
trap 'rm -f "${run_script}"' EXIT

log "training: the log is ${exp}/train.log; after a stop, ${exp}/run.sh goes on"
if [ -t 2 ] && [ "${cmd%% *}" = run.pl ]; then
    "${command[@]}"    # on a terminal the progress bar is worth more than a job log; train.log is written all the same
else
    literal "${command[@]}"
    watched "${log}" "${job[@]}" "${log}" "${literal_words[@]}"
    [ ! -f "${exp}/train.log" ] || tail -n 1 "${exp}/train.log" >&2    # not there after --dry_run
fi
