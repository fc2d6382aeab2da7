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

case "${cmd_backend}" in
    local) _cmd=run.pl ;;
    stdout) _cmd=stdout.pl ;;
    slurm) _cmd=slurm.pl ;;
    sge) _cmd=queue.pl ;;
    pbs) _cmd=pbs.pl ;;
    lsf) _cmd=bsub.pl ;;
    ssh) _cmd=ssh.pl ;;
    *)
        echo "cmd.sh: error: unknown cmd_backend '${cmd_backend}'; available: local stdout slurm sge pbs lsf ssh" >&2
        return 1
        ;;
esac

_cmd=${_cmd}${cmd_options:+ ${cmd_options}}
export train_cmd="${_cmd}"
export cuda_cmd="${_cmd}"
export decode_cmd="${_cmd}"
unset _cmd
