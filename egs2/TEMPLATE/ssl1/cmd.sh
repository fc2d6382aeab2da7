# Sourced by every recipe (`. ./cmd.sh`): where jobs run -> train_cmd (array jobs), cuda_cmd (GPU), decode_cmd.
#
# This is the only file that knows the cluster. "local" runs everything on this machine, without a queue.

cmd_backend=${cmd_backend:-local}

case "${cmd_backend}" in
    local)
        export train_cmd="run.pl"
        export cuda_cmd="run.pl"
        export decode_cmd="run.pl"
        ;;
    *)
        echo "cmd.sh: error: unknown cmd_backend '${cmd_backend}'; available: local" >&2
        return 1
        ;;
esac
