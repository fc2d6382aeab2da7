#!/usr/bin/env bash
# A folder -> sshd on 127.0.0.1 and 127.0.0.2, two "hosts" with keys of their own; ~/.ssh and /etc/ssh stay as they are.
#
# Usage: folder=/tmp/x test/cluster/sshd.sh start|stop    then: PATH=/tmp/x/bin:$PATH (an `ssh` that knows the two hosts)
# Each host has its own daemon, whose pid is in /tmp/x/<host>.pid. Variables: port=18222.

set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"
folder=${folder:?where the daemons live} port=${port:-18222}
hosts=(127.0.0.1 127.0.0.2)

start() {
    local host
    mkdir -p "${folder}/bin"
    chmod 755 "${folder}"
    [ "${UID}" != 0 ] || mkdir -p /run/sshd    # of root's sshd, for its unprivileged part
    ssh-keygen -q -t ed25519 -N '' -f "${folder}/host_key"
    ssh-keygen -q -t ed25519 -N '' -f "${folder}/key"
    install -m 600 "${folder}/key.pub" "${folder}/authorized_keys"
    cat > "${folder}/ssh_config" << LINES
Host *
  Port ${port}
  User $(id -un)
  IdentityFile ${folder}/key
  IdentitiesOnly yes
  UserKnownHostsFile ${folder}/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  LogLevel ERROR
LINES
    for host in "${hosts[@]}"; do
        echo "[${host}]:${port} $(cut -d ' ' -f 1,2 "${folder}/host_key.pub")" >> "${folder}/known_hosts"
        cat > "${folder}/${host}.conf" << LINES
ListenAddress ${host}:${port}
HostKey ${folder}/host_key
PidFile ${folder}/${host}.pid
AuthorizedKeysFile ${folder}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
StrictModes no
PrintMotd no
MaxStartups 200
AllowUsers $(id -un)
LINES
        "$(command -v sshd)" -f "${folder}/${host}.conf" -E "${folder}/${host}.log"
    done
    printf '#!/bin/sh\nexec %s -F %s/ssh_config "$@"\n' "$(command -v ssh)" "${folder}" > "${folder}/bin/ssh"
    chmod 755 "${folder}/bin/ssh"
    for host in "${hosts[@]}"; do
        until_true 10 "${folder}/bin/ssh" "${host}" true || { tail -n 20 "${folder}"/*.log >&2; exit 1; }
    done
}

stop() {
    local host
    for host in "${hosts[@]}"; do end "${folder}/${host}.pid" sshd; done
    rm -rf "${folder}"
}

case ${1:-} in
    start) start ;;
    stop) stop ;;
    *) sed -n '2,5p' "$0" >&2; exit 2 ;;
esac
