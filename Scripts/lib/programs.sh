# shellcheck shell=bash
# What scripts that source each other know of each other:
# shellcheck disable=SC2034,SC2154
# The programs in the network of topology.sh, which is sourced before this: home agent (mooringd and mooring-ha), node
# (mooringd and mooring-mn), and how they are asked.

home_prefix=2001:db8:1::/48
node_prefix=2001:db8:1:1::/64
node_address=2001:db8:1:1::1
node_ipv4=192.0.2.71
# From which a DHCPv6 server delegates to nodes.
delegated_range=2001:db8:1:d000::/52
key=7a1f0c5d92e84b36a0d3f6e1c8b75249

# mooring_at ROLE ARGUMENT…: the operator's tool at the home agent's or the node's daemon.
mooring_at() {
    local socket=$work/$1.sock
    shift
    "$binaries/mooring" "$@" --socket "$socket"
}
# The operator's tool at the home agent: registration or node, and arguments.
registrations() { "$binaries/mooring" "$@" --home-agent-socket "$work/mooring-ha.sock"; }
# The node's own: status or prefixes, and arguments.
node_program() { "$binaries/mooring-mn" "$@" --socket "$work/mooring-mn.sock"; }

# start_program NAME ROLE WORD COMMAND…: waits until its log has the word; fails with the log where it ends before.
start_program() {
    local name=$1 role=$2 word=$3
    shift 3
    start "$name" exec_inside "$role" "$@"
    local process=${started[-1]}
    until_true 20 has_answered "$name" "$word" "$process" || true
    if ! grep -q "$word" "$work/$name.log"; then
        sed 's/^/    /' "$work/$name.log" >&2
        fail "${1##*/} of the $role did not become ready; above is what it logged."
    fi
}
has_answered() { grep -q "$2" "$work/$1.log" || ! still_running "$3"; }

# Both at the home agent. Arguments go to mooringd.
start_home_agent() {
    printf '%s\n' "$key" >"$work/key"
    chmod 600 "$work/key"
    cat >"$work/mooring-ha.toml" <<END
addresses = ["$endpoint"]
forwarder-socket = "$work/home-agent.sock"
socket = "$work/mooring-ha.sock"
database = "$work/registrations.db"
udp-tunnel = { keepalive-interval = 20 }

[routes]
device = "mooring-home"

[[policy]]
name = "roaming"
link-local = true
prefix-pools = true

[[prefix-pool]]
within = "$delegated_range"
lengths = [60, 60]

[[node]]
home-address = "$node_ipv4"
spi = 1000
key-file = "$work/key"
policy = "roaming"
prefixes = ["$node_prefix"]
END
    start_program home-agent home-agent ready "$binaries/mooringd" --socket "$work/home-agent.sock" \
        --endpoint "$endpoint" --home-address 2001:db8:ffff::1/64 --home-route "$home_prefix" \
        --home-address 192.0.2.65/26 "$@"
    start_program mooring-ha home-agent 'bindings resynchronized' \
        "$binaries/mooring-ha" --config "$work/mooring-ha.toml"
}

# The node's forwarder. Arguments go to it.
start_forwarder() {
    start_program node node ready "$binaries/mooringd" --socket "$work/node.sock" --shared-endpoint --no-forwarding "$@"
}

# start_node LINE…: mooring-mn; the lines go before the rest of its configuration.
start_node() {
    {
        printf '%s\n' "$@"
        cat <<END
homeAddress = "$node_ipv4"
homeAgents = ["$endpoint"]
forwarder = "$work/node.sock"
socket = "$work/mooring-mn.sock"
opensLinkLocal = true

[securityAssociation]
securityParameterIndex = 1000
keyFile = "$work/key"

[[prefixes]]
prefix = "$node_prefix"
END
    } >"$work/mooring-mn.toml"
    : >"$work/mooring-mn.log"
    start mooring-mn exec_inside node "$binaries/mooring-mn" --config "$work/mooring-mn.toml"
    node_process=${started[-1]}
}

# The foreign agent, at the router of its network.
start_foreign_agent() {
    start_program mooring-fa foreign ready "$binaries/mooring-fa" --visited node --care-of "$foreign_agent" \
        --lifetime 300 --interval 4
}

# registered_from ADDRESS: whether the node knows that it is registered with that care-of address.
registered_from() {
    local status
    status=$(node_program status --json 2>/dev/null) || return 1
    [[ $status == *'"state":"registered"'* && $status == *"\"careOfAddress\":\"$1\""* ]]
}

# Has the node deregister, and waits for its end.
end_node() { end_processes "$node_process"; }
node_process=

# Where Scripts/setup has unpacked what it does not install.
unpacked=$root/.build/unpacked/usr/sbin

# find_program NAME: a copy of it that Scripts/setup has unpacked, or of the host's. The copy's path is none for which
# AppArmor has a profile, which would keep it from files of $work.
find_program() {
    if [ -x "$unpacked/$1" ]; then
        printf '%s' "$unpacked/$1"
    else
        cp "$(command -v "$1")" "$work/$1" && printf '%s' "$work/$1"
    fi
}

# Kea at the home agent's end of the link, dhcpcd at the node's, in a mount namespace where nothing of the host's is
# written. What is delegated is told to mooring-mn by dhcpcd's script.
start_delegation() {
    cat >"$work/kea.json" <<END
{ "Dhcp6": {
    "interfaces-config": { "interfaces": [ "mooring-home" ] },
    "lease-database": { "type": "memfile", "persist": false },
    "server-id": { "type": "EN", "persist": false },
    "subnet6": [ { "id": 1, "subnet": "2001:db8:ffff::/64", "interface": "mooring-home",
        "pd-pools": [ { "prefix": "${delegated_range%/*}", "prefix-len": ${delegated_range#*/},
            "delegated-len": 60 } ] } ],
    "loggers": [ { "name": "kea-dhcp6", "severity": "INFO", "output_options": [ { "output": "stdout" } ] } ] } }
END
    mkdir "$work/kea"
    start_program kea home-agent DHCP6_STARTED env KEA_LOCKFILE_DIR="$work/kea" KEA_PIDFILE_DIR="$work/kea" \
        "$(find_program kea-dhcp6)" -c "$work/kea.json"
    cat >"$work/delegated" <<END
#!/bin/sh
case \$reason in
BOUND6 | RENEW6 | REBIND6 | REBOOT6) set -- "\$new_dhcp6_ia_pd1_prefix1/\$new_dhcp6_ia_pd1_prefix1_length" ;;
EXPIRE6 | RELEASE6 | STOP6) set -- ;;
*) exit ;;
esac
exec "$binaries/mooring-mn" prefixes --socket "$work/mooring-mn.sock" "\$@"
END
    chmod +x "$work/delegated"
    cat >"$work/dhcpcd.conf" <<END
duid ll
ipv6only
noipv6rs
script $work/delegated
interface mooring-home
    iaid 1
    ia_pd 1 -
END
    # shellcheck disable=SC2016 # the inner shell expands it
    start dhcpcd exec_inside node unshare --mount sh -c \
        'mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && exec "$@"' sh \
        "$(find_program dhcpcd)" -B -d -f "$work/dhcpcd.conf" mooring-home
}
