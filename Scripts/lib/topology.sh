# shellcheck shell=bash
# What scripts that source each other know of each other:
# shellcheck disable=SC2034,SC2154
# The network of the demo and of the measurements, in network namespaces whose names carry the process id:
#
#                                    ┌── network A, 203.0.113.0/24 ─────────┐
#   correspondent ───── home agent ──┼── network B, 198.51.100.0/25 ────────┼── node
#                                    ├── private network, 10.0.0.0/24, NAT ─┤
#                                    └── foreign, 198.51.100.128/25 ────────┘
#
# correspondent and home agent speak both IPv6 and IPv4; everything right of the home agent is IPv4 only. Interfaces are
# named for what they lead to. The node has one in each network, and is where its default route leads: it has moved when
# that leads elsewhere. What the programs set up stands in lib/programs.sh. To be sourced; the caller's shell options are
# -euo pipefail.

correspondent_address=2001:db8:c::2
correspondent_ipv4=192.0.2.138
# The home agent's end of tunnels.
endpoint=192.0.2.1
care_of_a=203.0.113.9
care_of_b=198.51.100.9
care_of_private=10.0.0.9
# By which address the private network is seen from outside.
nat_address=192.0.2.142
foreign_agent=198.51.100.129

# Where mooringd and mooring are; the caller sets it.
binaries=

topology_roles=(correspondent home-agent network-a network-b private foreign node)
# Set by topology_make.
topology_name=
# Where sockets, logs and captures lie. Set by topology_make.
work=
# Of processes started in the background: "id start-time", so that a reused id is never taken for ours.
started=()
say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*"; }
explain() { printf '          %s\n' "$@"; }
heading() { printf '\n%s  \033[1m%s\033[0m\n' "$(date +%H:%M:%S)" "$*"; }
fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Where network namespaces can be given names, nothing. Otherwise starts this script anew where they can: in a user
# namespace of its own unless root, with a mount namespace in which /run is empty and writable.
# Arguments: the script and its own arguments.
topology_enter() {
    local probe=mooring-probe-$$ error
    if error=$(ip netns add "$probe" 2>&1); then
        ip netns delete "$probe"
        return
    fi
    [ -z "${MOORING_ENTERED-}" ] || fail "namespaces can't be made here: $error"
    export MOORING_ENTERED=1
    local enter=(unshare --mount)
    if ! unshare --mount true 2>/dev/null; then
        enter=(unshare --map-root-user --net --mount)
        error=$("${enter[@]}" true 2>&1) ||
            fail "neither root nor a user namespace ($error). Run it as root, or allow user namespaces" \
                "(sysctl kernel.apparmor_restrict_unprivileged_userns=0 where that exists)."
    fi
    # shellcheck disable=SC2016 # the inner shell expands it
    exec "${enter[@]}" sh -c 'mount -t tmpfs tmpfs /run && exec "$0" "$@"' "$@"
}

# Fails with advice unless /dev/net/tun can be opened.
require_tun() {
    # shellcheck disable=SC2016 # the inner shell expands it
    [ -c /dev/net/tun ] || fail "/dev/net/tun is not there: load the kernel's module with 'modprobe tun'."
    (: <>/dev/net/tun) 2>/dev/null ||
        fail "/dev/net/tun can't be opened by $(id -un): run this as root, or allow it (chmod 666 /dev/net/tun)."
}

# tcpdump wants to give up what groups it has; the root of a user namespace may not, and needs dumpcap instead.
may_change_groups() { ! grep -q deny /proc/self/setgroups 2>/dev/null; }

start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

# start NAME COMMAND…: in the background, its output in $work/NAME.log. The id is in $! and remembered.
start() {
    local log=$work/$1.log
    shift
    "$@" >"$log" 2>&1 &
    remember $!
}

remember() {
    started+=("$1 $(start_time "$1")")
    [ -z "$work" ] || printf '%s\n' "${started[-1]}" >>"$work/processes"
}

# still_running "ID START-TIME"
still_running() { [ -n "${1#* }" ] && [ "$(start_time "${1%% *}")" = "${1#* }" ]; }

# Ends processes of "id start-time" lines: asks, waits for at most three seconds, then insists.
end_processes() {
    local signal process attempt remaining
    for signal in TERM KILL; do
        remaining=0
        for process in "$@"; do
            if still_running "$process"; then
                kill -s "$signal" "${process%% *}" 2>/dev/null || true
                remaining=1
            fi
        done
        for ((attempt = 0; remaining && attempt < 60; attempt++)); do
            remaining=0
            for process in "$@"; do
                if still_running "$process" && [ "$(process_state "${process%% *}")" != Z ]; then remaining=1; fi
            done
            ((!remaining)) || sleep 0.05
        done
    done
}

process_state() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -c 1; }

# until_true SECONDS COMMAND…: polls; 1 when the deadline passes.
until_true() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

# A command that a signal may interrupt: traps run at once, not when it ends.
patiently() {
    "$@" &
    remember $!
    wait $!
}

namespace() { printf '%s-%s' "$topology_name" "$1"; }
# inside ROLE COMMAND…
inside() { (exec_inside "$@"); }
# The same in place of this shell: in the background the id is then that of the command.
exec_inside() {
    local path
    path=/run/netns/$(namespace "$1")
    shift
    exec nsenter --net="$path" -- "$@"
}
# link ROLE PEER: two interfaces, each named for what it leads to.
link() {
    ip -n "$(namespace "$1")" link add "$2" type veth peer name "$1" netns "$(namespace "$2")"
    ip -n "$(namespace "$1")" link set "$2" up
    ip -n "$(namespace "$2")" link set "$1" up
}
address() {
    local role=$1
    shift
    ip -n "$(namespace "$role")" address add "$@"
}
route() {
    local role=$1
    shift
    ip -n "$(namespace "$role")" route add "$@"
}

# Makes namespaces, links, addresses and routes, everything except what the programs set up.
topology_make() {
    topology_name=mooring-$$
    work=$(mktemp -d "${TMPDIR:-/tmp}/mooring-demo.$$.XXXXXX")
    local role
    for role in "${topology_roles[@]}"; do
        ip netns add "$(namespace "$role")"
        printf '%s\n' "$(namespace "$role")" >>"$work/namespaces"
        ip -n "$(namespace "$role")" link set lo up
        # What a host's administrator chose for reverse-path filtering is inherited; routers here start from nothing.
        inside "$role" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
    done

    link correspondent home-agent
    address correspondent "$correspondent_address/64" dev home-agent nodad
    address home-agent 2001:db8:c::1/64 dev correspondent nodad
    route correspondent default via 2001:db8:c::1
    address correspondent "$correspondent_ipv4/30" dev home-agent
    address home-agent 192.0.2.137/30 dev correspondent
    route correspondent default via 192.0.2.137

    access_network network-a 192.0.2.129 192.0.2.130 203.0.113.1/24 "$care_of_a/24"
    access_network network-b 192.0.2.133 192.0.2.134 198.51.100.1/25 "$care_of_b/25"
    access_network private 192.0.2.141 "$nat_address" 10.0.0.1/24 "$care_of_private/24"
    # Where a foreign agent is, the node has no address of that network.
    access_network foreign 192.0.2.145 192.0.2.146 "$foreign_agent/25"
    route home-agent 203.0.113.0/24 via 192.0.2.130
    route home-agent 198.51.100.0/25 via 192.0.2.134
    route home-agent 198.51.100.128/25 via 192.0.2.146
    # Each care-of address leaves by the network that it belongs to.
    source_route "$care_of_a" 203.0.113.1 101
    source_route "$care_of_b" 198.51.100.1 102
    source_route "$care_of_private" 10.0.0.1 103
    route node default via 203.0.113.1
}

# access_network ROLE HOME-AGENT ROUTER ROUTER-INSIDE/LENGTH [NODE/LENGTH]: a router of IPv4 between home agent and node.
access_network() {
    local role=$1 home_agent=$2 router=$3 inside_address=$4 node_address=${5-}
    inside "$role" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 \
        net.ipv4.ip_forward=1
    link home-agent "$role"
    address home-agent "$home_agent/30" dev "$role"
    address "$role" "$router/30" dev home-agent
    route "$role" default via "$home_agent"
    link "$role" node
    inside node sysctl -qw "net.ipv6.conf.$role.disable_ipv6=1"
    address "$role" "$inside_address" dev node
    [ -z "$node_address" ] || address node "$node_address" dev "$role"
}
# source_route ADDRESS GATEWAY TABLE: what the node sends from that address.
source_route() {
    route node default via "$2" table "$3"
    ip -n "$(namespace node)" rule add from "$1" lookup "$3" priority "1$3"
}

# move_node GATEWAY: the way by another network is the node's best from now on.
move_node() { ip -n "$(namespace node)" route replace default via "$1"; }

# The node has no way by an address of its own any more.
leave_networks() { ip -n "$(namespace node)" route del default; }

# Ends what was started, the last first, and removes the namespaces and the directory.
topology_remove() {
    local index role backwards=()
    for ((index = ${#started[@]} - 1; index >= 0; index--)); do backwards+=("${started[index]}"); done
    if ((${#backwards[@]})); then end_processes "${backwards[@]}"; fi
    started=()
    if [ -n "$topology_name" ]; then
        for role in "${topology_roles[@]}"; do
            [ ! -e "/run/netns/$(namespace "$role")" ] || ip netns delete "$(namespace "$role")" || true
        done
    fi
    topology_name=
    if [ -n "$work" ]; then rm -rf "$work"; fi
    work=
}

listening() { inside "$1" ss -Hltn "sport = :$2" | grep -q .; }

# start_iperf3_server ROLE PORT
start_iperf3_server() {
    start "iperf3-$1-$2" exec_inside "$1" iperf3 -s -p "$2"
    until_true 10 listening "$1" "$2" || fail "iperf3 does not listen: $(cat "$work/iperf3-$1-$2.log")"
}

# test_answers LOG NUMBER: whether ping got that many answers.
test_answers() { (($(grep -c 'bytes from' "$1") >= $2)); }
