#!/usr/bin/env bash
# A folder -> a private Slurm cluster on this machine: one controller, NODES nodes with the same host name, fake GPUs.
#
# Usage: folder=/tmp/x test/cluster/slurm.sh start|controller|stop    then: export SLURM_CONF=/tmp/x/slurm.conf
# "controller" starts the controller again after it was killed. Partitions: normal (default), and high, whose jobs
# preempt and requeue those of normal. Variables: nodes=2 cpus=4 gpus=2 port=18817 array=4001 (MaxArraySize).

set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"
folder=${folder:?where the cluster lives}
nodes=${nodes:-2} cpus=${cpus:-4} gpus=${gpus:-2} port=${port:-18817} array=${array:-4001}
host=$(hostname -s)
export SLURM_CONF=${folder}/slurm.conf

# common_lines: what both clusters (see slurm_netns.sh) are configured with.
common_lines() {
    cat << LINES
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=${folder}/munge.sock,cred_expire=5
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool.%n
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd.%n.pid
SlurmctldLogFile=${folder}/slurmctld.log
SlurmdLogFile=${folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=20
AccountingStorageType=accounting_storage/none
ReturnToService=2
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
MaxArraySize=${array}
MaxJobCount=30000
MinJobAge=300
KillWait=5
SlurmctldTimeout=10
SlurmdTimeout=10
InactiveLimit=0
MailProg=/bin/true
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
LINES
}

configure() {
    local names="node[1-${nodes}]" memory number devices
    [ "${nodes}" -gt 1 ] || names=node1
    memory=$(($(free -m | awk '/^Mem:/ {print $2}') / nodes - 100))
    {
        echo "ClusterName=test"
        echo "SlurmctldHost=${host}(127.0.0.1)"
        echo "SlurmctldPort=${port}"
        common_lines
        echo "GresTypes=gpu"
        for number in $(seq "${nodes}"); do
            echo "NodeName=node${number} NodeHostname=${host} NodeAddr=127.0.0.1 Port=$((port + number))" \
                "CPUs=${cpus} RealMemory=${memory} Gres=gpu:${gpus} State=UNKNOWN"
        done
        echo "PartitionName=normal Nodes=${names} Default=YES MaxTime=INFINITE PriorityTier=10 State=UP"
        echo "PartitionName=high Nodes=${names} MaxTime=INFINITE PriorityTier=100 PreemptMode=off State=UP"
    } > "${SLURM_CONF}"
    # A GPU is a character device whose name ends in a number; only then CUDA_VISIBLE_DEVICES is set.
    devices=${folder}/gpu
    for number in $(seq 0 $((gpus - 1))); do mknod -m 666 "${devices}${number}" c 1 3 || devices=/dev/tty; done
    echo "Name=gpu Count=${gpus} File=${devices}[0-$((gpus - 1))]" > "${folder}/gres.conf"
    # Nothing uses cgroups, but slurmd looks for them all the same; version 1 starts anywhere.
    echo "CgroupPlugin=cgroup/v1" > "${folder}/cgroup.conf"
}

start_munge() {
    mkdir -p "${folder}/state" "${folder}/munge"
    chmod 755 "${folder}"
    chmod 700 "${folder}/state" "${folder}/munge"
    (umask 077; head -c 128 /dev/urandom > "${folder}/munge/key")
    munged --socket="${folder}/munge.sock" --key-file="${folder}/munge/key" --pid-file="${folder}/munge/pid" \
        --log-file="${folder}/munge/log" --seed-file="${folder}/munge/seed"
}

all_idle() { [ "$(sinfo -h -p "$1" -t idle -o %D 2> /dev/null)" = "${nodes}" ]; }

start() {
    local number
    start_munge
    configure
    slurmctld -c
    for number in $(seq "${nodes}"); do
        mkdir -p "${folder}/spool.node${number}"
        slurmd -N "node${number}"
    done
    until_true 40 all_idle normal || { tail -n 20 "${folder}"/*.log >&2; exit 1; }
}

stop() {
    local file
    [ -d "${folder}" ] || return 0
    if alive "${folder}/slurmctld.pid" slurmctld > /dev/null; then
        timeout 10 scancel --user="$(id -un)" 2> /dev/null || true
        until_true 8 bash -c '[ -z "$(squeue -h)" ]' || true
    fi
    for file in "${folder}"/slurmd.*.pid; do end "${file}" slurmd KILL; done
    end "${folder}/slurmctld.pid" slurmctld KILL    # nothing of it is kept
    end "${folder}/munge/pid" munged KILL    # TERM takes it seconds
    rm -rf "${folder}"
}

[ "${BASH_SOURCE[0]}" = "$0" ] || return 0
case ${1:-} in
    start) start ;;
    controller) slurmctld ;;
    stop) stop ;;
    *) sed -n '2,6p' "$0" >&2; exit 2 ;;
esac
