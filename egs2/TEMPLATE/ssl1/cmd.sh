# Sourced by every recipe (`. ./cmd.sh`): where jobs run -> train_cmd (array jobs), cuda_cmd (GPU), decode_cmd.
#
# This is the only file that knows the cluster. Choose here, or for one run: cmd_backend=slurm ./run.sh
#   local   this machine, without a queue         slurm   Slurm             pbs   PBS Professional, OpenPBS, Torque
#   stdout  the same, output shown                sge     Grid Engine       lsf   LSF
#                                                 ssh     hosts without a scheduler
# Partitions, accounts and the like belong into conf/{slurm,queue,pbs,lsf,ssh}.conf of the recipe, or where it has none, of
# egs2/TEMPLATE/ssl1, which serves all recipes. doc/clusters.md tells the rest.

cmd_backend=${cmd_backend:-local}
cmd_options=${cmd_options:-}    # for every job of a run, e.g. cmd_options="--partition long --dry_run"

_programs=" local=run.pl stdout=stdout.pl slurm=slurm.pl sge=queue.pl pbs=pbs.pl lsf=bsub.pl ssh=ssh.pl "

_cmd=${_programs#* "${cmd_backend}"=}
if [ "${_cmd}" = "${_programs}" ]; then
    _programs=$(for _name in ${_programs}; do echo -n " ${_name%%=*}"; done)
    echo "cmd.sh: error: unknown cmd_backend '${cmd_backend}'; available:${_programs}" >&2
    return 1
fi
_cmd=${_cmd%% *}${cmd_options:+ ${cmd_options}}
export train_cmd="${_cmd}"
export cuda_cmd="${_cmd}"
export decode_cmd="${_cmd}"
unset _cmd _programs
