#!/usr/bin/env bash
# A folder -> a private Grid Engine cell on this machine: parallel environment smp, consumables gpu and ram_free.
#
# Usage: folder=/tmp/x test/cluster/grid_engine.sh start|master|stop    then: . /tmp/x/default/common/settings.sh
# "master" starts the qmaster again after it was killed. Variables: slots=4 gpus=2 port=18444.

set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"
folder=${folder:?where the cell lives}
slots=${slots:-4} gpus=${gpus:-2} port=${port:-18444}
programs=/usr/lib/gridengine share=/usr/share/gridengine host=$(hostname)
common=${folder}/default/common
export SGE_ROOT=${folder} SGE_CELL=default SGE_QMASTER_PORT=${port} SGE_EXECD_PORT=$((port + 1)) SGE_SINGLE_LINE=1

# setting <command>...: a command of the cell's administrator; what it says goes into a log.
setting() { timeout 20 "${programs}/qconf" "$@" >> "${folder}/setting.log" 2>&1; }

lay_out() {
    local architecture name
    architecture=$("${share}/util/arch")
    mkdir -p "${folder}"/{bin,lib,utilbin,qmaster/job_scripts,execd} "${common}"
    chmod 755 "${folder}"
    for name in bin lib utilbin; do ln -s "${programs}" "${folder}/${name}/${architecture}"; done
    ln -s "${share}/util" "${folder}/util"
    cat > "${common}/bootstrap" << LINES
admin_user $([ "${UID}" = 0 ] && echo none || id -un)
default_domain none
ignore_fqdn false
spooling_method classic
spooling_lib libspoolc
spooling_params ${common};${folder}/qmaster
binary_path ${programs}
qmaster_spool_dir ${folder}/qmaster
security_mode none
listener_threads 2
worker_threads 2
scheduler_threads 1
LINES
    echo "${host}" > "${common}/act_qmaster"
    # All names of this machine are one host; else "localhost is neither submit nor admin host".
    echo "${host} localhost $(getent hosts 127.0.0.1 | awk '{$1 = ""; print}')" | tr ' ' '\n' \
        | awk 'NF && !seen[$0]++' | paste -sd ' ' > "${common}/host_aliases"
    for name in SGE_ROOT SGE_CELL SGE_QMASTER_PORT SGE_EXECD_PORT; do
        echo "${name}=${!name}; export ${name}"
    done > "${common}/settings.sh"
}

spool() {
    local options=(classic libspoolc "${common};${folder}/qmaster")
    sed -e "s|^execd_spool_dir.*|execd_spool_dir ${folder}/execd|" -e 's|^mailer.*|mailer /bin/true|' \
        -e 's|^min_uid.*|min_uid 0|' -e 's|^min_gid.*|min_gid 0|' -e 's|^load_report_time.*|load_report_time 00:00:05|' \
        -e 's|flush_time=00:00:15|flush_time=00:00:01 accounting_flush_time=00:00:00|' \
        "${share}/default-configuration" > "${folder}/configuration"
    "${programs}/spoolinit" "${options[@]}" init
    "${programs}/spooldefaults" configuration "${folder}/configuration"
    "${programs}/spooldefaults" complexes "${share}/util/resources/centry"
    "${programs}/spooldefaults" usersets "${share}/util/resources/usersets"
    "${programs}/spooldefaults" managers "$(id -un)"
}

configure() {
    local total
    total=$(free -m | awk '/^Mem:/ {print $2}')
    setting -ah "${host}" || true
    setting -as "${host}" || true
    timeout 20 "${programs}/qconf" -sc > "${folder}/complexes"
    printf 'gpu gpu INT <= YES YES 0 0\nram_free ram_free MEMORY <= YES YES 0 0\n' >> "${folder}/complexes"
    setting -Mc "${folder}/complexes"
    timeout 20 "${programs}/qconf" -ssconf | sed -e 's/^schedule_interval.*/schedule_interval 0:0:1/' \
        -e 's/^flush_submit_sec.*/flush_submit_sec 1/' -e 's/^flush_finish_sec.*/flush_finish_sec 1/' \
        -e 's/^job_load_adjustments.*/job_load_adjustments NONE/' > "${folder}/scheduler"
    setting -Msconf "${folder}/scheduler"
    printf '%s\n' 'pe_name smp' 'slots 999' 'user_lists NONE' 'xuser_lists NONE' 'start_proc_args NONE' \
        'stop_proc_args NONE' 'allocation_rule $pe_slots' 'control_slaves TRUE' 'job_is_first_task TRUE' \
        'urgency_slots min' 'accounting_summary FALSE' 'qsort_args NONE' > "${folder}/smp"
    setting -Ap "${folder}/smp"
    "${programs}/sge_execd" < /dev/null > "${folder}/execd.out" 2>&1
    until_true 10 sh -c "${programs}/qconf -sel | grep -qx ${host}"
    printf '%s\n' "hostname ${host}" 'load_scaling NONE' "complex_values gpu=${gpus},ram_free=${total}M" \
        'user_lists NONE' 'xuser_lists NONE' 'projects NONE' 'xprojects NONE' 'usage_scaling NONE' \
        'report_variables NONE' > "${folder}/host"
    setting -Me "${folder}/host"
    queue > "${folder}/queue"
    setting -Aq "${folder}/queue"
}

# queue: the one queue, with everything that qconf -Aq insists on.
queue() {
    local name
    printf '%s\n' 'qname all.q' "hostlist ${host}" 'seq_no 0' 'nsuspend 1' 'suspend_interval 00:05:00' 'priority 0' \
        'min_cpu_interval 00:05:00' 'processors UNDEFINED' 'qtype BATCH INTERACTIVE' 'pe_list smp' 'rerun FALSE' \
        "slots ${slots}" 'tmpdir /tmp' 'shell /bin/bash' 'shell_start_mode unix_behavior' 'notify 00:00:05' \
        'initial_state default'
    for name in load_thresholds suspend_thresholds ckpt_list prolog epilog starter_method suspend_method resume_method \
        terminate_method owner_list user_lists xuser_lists subordinate_list complex_values projects xprojects calendar; do
        echo "${name} NONE"
    done
    for name in rt cpu fsize data stack core rss vmem; do printf '%s INFINITY\n' "s_${name}" "h_${name}"; done
}

ready() { timeout 10 "${programs}/qhost" 2> /dev/null | awk -v host="${host}" '$1 == host && $7 != "-" {found = 1} END {exit !found}'; }

master() { "${programs}/sge_qmaster" < /dev/null > "${folder}/qmaster.out" 2>&1; }

start() {
    lay_out
    spool > "${folder}/spool.log" 2>&1
    master
    until_true 10 timeout 10 "${programs}/qconf" -sh
    configure
    until_true 30 ready || { tail -n 20 "${folder}/setting.log" "${folder}/qmaster/messages" >&2; exit 1; }
}

stop() {
    local file
    [ -d "${folder}" ] || return 0
    if alive "${folder}/qmaster/qmaster.pid" sge_qmaster > /dev/null; then
        timeout 10 "${programs}/qdel" -f -u '*' > /dev/null 2>&1 || true
    fi
    for file in "${folder}"/execd/*/execd.pid; do end "${file}" sge_execd KILL; done
    end "${folder}/qmaster/qmaster.pid" sge_qmaster KILL    # TERM takes 7 s, and nothing of it is kept
    rm -rf "${folder}"
}

case ${1:-} in
    start) start ;;
    master) master ;;
    stop) stop ;;
    *) sed -n '2,5p' "$0" >&2; exit 2 ;;
esac
