#!/usr/bin/env bash
# A folder -> a private Slurm cluster whose nodes have their own network, address and host name (root only).
#
# Usage: folder=/tmp/x test/cluster/slurm_netns.sh start|stop|node <name>|controller    then: export SLURM_CONF=/tmp/x/slurm.conf
# "node node2" starts the daemon of a node again. Variables: those of slurm.sh; network=10.213.8 prefix=ct (of devices).

set -euo pipefail

folder=${folder:?where the cluster lives} port=${port:-19817} gpus=0
. "$(dirname "${BASH_SOURCE[0]}")/slurm.sh"
network=${network:-10.213.8} prefix=${prefix:-ct}

configure_netns() {
    local memory number
    memory=$(($(free -m | awk '/^Mem:/ {print $2}') / nodes - 100))
    {
        echo "127.0.0.1 localhost"
        echo "${network}.254 ${host}"
        for number in $(seq "${nodes}"); do echo "${network}.${number} node${number}"; done
    } > "${folder}/hosts"
    {
        echo "ClusterName=testnetns"
        echo "SlurmctldHost=${host}(${network}.254)"
        echo "SlurmctldPort=${port}"
        echo "SlurmdPort=$((port + 1))"
        common_lines
        echo "NodeName=node[1-${nodes}] NodeAddr=${network}.[1-${nodes}] CPUs=${cpus} RealMemory=${memory} State=UNKNOWN"
        echo "PartitionName=normal Nodes=node[1-${nodes}] Default=YES MaxTime=INFINITE PriorityTier=10 State=UP"
        echo "PartitionName=high Nodes=node[1-${nodes}] MaxTime=INFINITE PriorityTier=100 PreemptMode=off State=UP"
    } > "${SLURM_CONF}"
    echo "CgroupPlugin=cgroup/v1" > "${folder}/cgroup.conf"
}

# start_node <name>: its daemon, in the node's network, with its host name and table of hosts.
start_node() {
    # Not `ip netns exec`: it mounts /sys anew, and slurmd then finds no cgroups and ends.
    nsenter --net="/run/netns/${prefix}$1" unshare --uts --mount bash -c \
        'hostname "$1"; mount --bind "$2/hosts" /etc/hosts; exec slurmd -f "$2/slurm.conf"' node "$1" "${folder}"
}

start_netns() {
    local number
    start_munge
    ip link add "${prefix}br" type bridge
    ip addr add "${network}.254/24" dev "${prefix}br"
    ip link set "${prefix}br" up
    configure_netns
    slurmctld -c
    for number in $(seq "${nodes}"); do
        ip netns add "${prefix}node${number}"
        ip link add "${prefix}v${number}" type veth peer name eth0 netns "${prefix}node${number}"
        ip link set "${prefix}v${number}" master "${prefix}br" up
        ip -n "${prefix}node${number}" addr add "${network}.${number}/24" dev eth0
        ip -n "${prefix}node${number}" link set eth0 up
        ip -n "${prefix}node${number}" link set lo up
        mkdir -p "${folder}/spool.node${number}"
        start_node "node${number}"
    done
    until_true 40 all_idle normal || { tail -n 20 "${folder}"/*.log >&2; exit 1; }
}

stop_netns() {
    local number
    stop
    for number in $(seq "${nodes}"); do
        ip link del "${prefix}v${number}" 2> /dev/null || true
        ip netns del "${prefix}node${number}" 2> /dev/null || true
    done
    ip link del "${prefix}br" 2> /dev/null || true
}

case ${1:-} in
    start) start_netns ;;
    controller) slurmctld ;;
    node) start_node "$2" ;;
    stop) stop_netns ;;
    *) sed -n '2,5p' "$0" >&2; exit 2 ;;
esac
