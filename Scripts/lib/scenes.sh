# shellcheck shell=bash
# What scripts that source each other know of each other:
# shellcheck disable=SC2034,SC2154
# What the demo shows, a function each, with topology.sh and programs.sh sourced before. Whatever is printed as done was
# checked; what was wrong is counted.

problems=0
# right TEXT | wrong TEXT: the outcome of a check.
right() { say "  ✓ $*"; }
wrong() {
    say "  ✗ $*"
    problems=$((problems + 1))
}
# check WORDS COMMAND…: whether a command succeeds.
check() {
    local words=$1
    shift
    if "$@" >/dev/null 2>&1; then right "$words"; else wrong "$words: it is not so"; fi
}
# soon WORDS COMMAND…: whether it does within ten seconds.
soon() {
    local words=$1
    shift
    if until_true 10 "$@"; then right "$words"; else wrong "$words: not within 10 seconds"; fi
}

figures() { python3 "$root/Scripts/lib/figures.py" "$@"; }

# A handful of echo requests. Arguments: from, to, words for it.
echo_requests() {
    local log=$work/ping.log
    if inside "$1" ping -n -c 5 -i 0.1 -W 2 "$2" >"$log" 2>&1; then
        right "$3: $(sed -n 's/^rtt [^=]*= \([^/]*\)\/\([^/]*\)\/.*/round trip \2 ms on average/p' "$log"), 5 of 5"
    else
        wrong "$3: $(grep 'packets transmitted' "$log" || tail -n 1 "$log")"
    fi
}

# Arguments: from, to, words for it; then arguments of iperf3. Leaves its report in $work/iperf3.json.
transfer() {
    local from=$1 to=$2 words=$3 rate
    shift 3
    if patiently exec_inside "$from" timeout 60 iperf3 -c "$to" -p 5201 --connect-timeout 5000 -J "$@" \
        >"$work/iperf3.json" && rate=$(figures iperf3 "$work/iperf3.json"); then
        right "$words: $rate Gbit/s"
    else
        wrong "$words: it failed: $(figures iperf3 "$work/iperf3.json" 2>&1 | tail -n 1)"
    fi
}

both_families() {
    echo_requests correspondent "$node_address" "IPv6, echo requests from the correspondent to the node"
    echo_requests node "$correspondent_address" "IPv6, echo requests from the node to the correspondent"
    transfer correspondent "$node_address" "IPv6, a megabyte by TCP to the node" -n 1M
    transfer correspondent "$node_address" "IPv6, a megabyte by TCP from the node" -n 1M -R
    echo_requests correspondent "$node_ipv4" "IPv4, echo requests from the correspondent to the node's home address"
    echo_requests node "$correspondent_ipv4" "IPv4, echo requests from the node to the correspondent"
    transfer correspondent "$node_ipv4" "IPv4, a megabyte by TCP to the home address" -n 1M
    transfer correspondent "$node_ipv4" "IPv4, a megabyte by TCP from the home address" -n 1M -R
}

declare -A captures
# capture NAME ROLE INTERFACE: until end_capture NAME; into $work/NAME.pcap.
capture() {
    local name=$1 role=$2 interface=$3 program=tcpdump running='listening on'
    local command=(tcpdump -Z root -i "$interface" -n -U -B 16384 -w "$work/$name.pcap")
    if ! may_change_groups; then
        program=dumpcap running='^File:'
        command=(dumpcap -q -P -i "$interface" -B 16 -w "$work/$name.pcap")
    fi
    start "capture-$name" exec_inside "$role" "${command[@]}"
    captures[$name]=${started[-1]}
    until_true 10 grep -q "$running" "$work/capture-$name.log" ||
        fail "$program does not run: $(tail -n 1 "$work/capture-$name.log")"
}
# as_on_the_wire ROLE INTERFACE: what leaves by it is captured as a cable would have it, cut into packets and with its
# checksums, not as the kernel hands it on between namespaces.
as_on_the_wire() {
    inside "$1" ethtool -K "$2" tx off sg off tso off gso off tx-ipxip4-segmentation off tx-ipxip6-segmentation off \
        tx-udp_tnl-segmentation off tx-udp_tnl-csum-segmentation off tx-gre-segmentation off >/dev/null 2>&1 || true
}
end_capture() { end_processes "${captures[$1]}"; }

# Registrations of a capture, as tshark decodes them.
show_messages() {
    tshark -n -r "$work/$1.pcap" -X "lua_script:$root/docs/wireshark/dsmipv4.lua" -Y 'mip.type == 1 || mip.type == 3' \
        -T fields -e ip.src -e mip.type -e mip.life -e mip.code -e mip.coa -e dsmipv4.subtype -e dsmipv4.code \
        -e dsmipv4.prefix -e dsmipv4.prefixlen 2>/dev/null | figures messages | sed 's/^/              /'
}

# register_scene: the node is in network A, and knows nothing but its key and its home agent.
register_scene() {
    capture registration network-a node
    start_node
    soon "registered from $care_of_a" registered_from "$care_of_a"
    soon "the way to the home agent's link is open" prefix_is fe80::c000:247/255 accepted
    end_capture registration
    say "  registrations on network A, as tshark decodes them:"
    show_messages registration
    say "  what the node says of itself:"
    node_program status | sed 's/^/              /'
    check "the home agent tells others of $node_prefix" home_route "$node_prefix"
    check "the home agent tells others of $node_ipv4" home_route "$node_ipv4"
}

# prefix_is PREFIX STATE: what the node says became of a prefix.
prefix_is() { node_program status 2>/dev/null | grep -q "^prefix  *$1 $2"; }
# home_route PREFIX: whether the home agent has a kernel route for it.
home_route() {
    local family=-4
    [[ $1 != *:* ]] || family=-6
    ip "$family" -n "$(namespace home-agent)" route show proto 55 | grep -qF "$1 "
}

handover_scene() {
    local count=2000 log=$work/ping-move.log lost longest first
    exec_inside correspondent ping -6 -n -i 0.001 -c "$count" -W 1 "$node_address" >"$log" 2>&1 &
    local pinging=$!
    remember "$pinging"
    until_true 20 test_answers "$log" $((count / 3)) || fail "ping gets no answers: $(tail -n 1 "$log")"
    move_node 198.51.100.1
    soon "the node has moved from $care_of_a to $care_of_b, and registered" registered_from "$care_of_b"
    wait "$pinging" || true
    if read -r lost longest first < <(figures ping "$log" "$count"); then
        say "  $count echo requests, one a millisecond: $lost lost, $longest of them in a row"
        # All after the move would be some 1300.
        if ((lost < 500)); then
            right "the prefix stayed reachable"
        else
            wrong "too many were lost, beginning with number $first"
        fi
    else
        wrong "no answer at all"
    fi
}

handover_back_scene() {
    local begin moment before after retransmitted report=$work/iperf3-move.json
    begin=$EPOCHREALTIME
    exec_inside correspondent timeout 60 iperf3 -6 -c "$node_address" -p 5201 --connect-timeout 5000 \
        -t 6 -i 0.25 -J >"$report" 2>&1 &
    local transferring=$!
    remember "$transferring"
    patiently sleep 3
    moment=$EPOCHREALTIME
    move_node 203.0.113.1
    soon "the node has moved back to network A in the middle of a transfer" registered_from "$care_of_a"
    wait "$transferring" || true
    moment=$(python3 -c 'import sys; print(float(sys.argv[2]) - float(sys.argv[1]))' "$begin" "$moment")
    if read -r before after retransmitted < <(figures iperf3 "$report" "$moment"); then
        right "TCP went on: $before Gbit/s before, $after Gbit/s after, $retransmitted segments sent again"
    else
        wrong "TCP did not go on: $(figures iperf3 "$report" 2>&1)"
    fi
}

# Arguments: a capture, a display filter of tshark; checksums are verified.
count_packets() {
    tshark -n -r "$1" -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -Y "$2" -T fields -e frame.number \
        2>/dev/null | wc -l
}

# decode NAME CARE-OF: what stands in the tunnel of a capture, and whether all of it is as it should be.
decode() {
    local file=$work/$1.pcap all good kind inner filter
    # An ICMPv4 error quotes a packet, which is decoded too.
    local error="icmp.type == 3" ends="(ip.src == $2 && ip.dst == $endpoint) || (ip.src == $endpoint && ip.dst == $2)"
    local checksums="icmpv6.checksum.status == 1 || icmp.checksum.status == 1 || tcp.checksum.status == 1"
    local tunnelled="(ip.proto == 41 || ip.proto == 4) && !($error)"
    for inner in IPv6 IPv4; do
        filter="ip.proto == 41 && !($error)" kind=icmpv6
        if [ "$inner" = IPv4 ]; then filter="ip.proto == 4 && !($error)" kind=icmp; fi
        for kind in "$kind" tcp; do
            say "  $(count_packets "$file" "$filter && $kind") packets of $kind in $inner in IPv4:"
            tshark -n -r "$file" -Y "$filter && $kind" -T fields -e ip.src -e ip.dst -e ip.proto -e ipv6.src \
                -e ipv6.dst -e _ws.col.Info 2>/dev/null | awk -F '\t' 'NR <= 1 {
                    # Of IPv4 in IPv4 these are lists, the outer header first.
                    split($1, from, ","); split($2, to, ","); split($3, protocol, ",")
                    print "             ", from[1], to[1], protocol[1], $4 from[2], $5 to[2], $6
                }'
        done
    done
    all=$(count_packets "$file" "$tunnelled")
    good=$(count_packets "$file" "$tunnelled && ($ends) && !(ip.checksum.status == 0) && ($checksums)")
    if ((all > 0 && all == good)); then
        right "all $all are IPv6 or IPv4 in IPv4 between $2 and $endpoint, every checksum correct"
    else
        wrong "only $good of $all are IPv6 or IPv4 in IPv4 between $2 and $endpoint with correct checksums"
    fi
}

# The node behind a NAT that gives other ports than the node's.
nat_scene() {
    local packets inner
    inside private nft -f - <<'END'
table ip nat {
    chain postrouting {
        type nat hook postrouting priority srcnat
        oifname "home-agent" meta l4proto udp masquerade to :40000-40999
        oifname "home-agent" masquerade
    }
}
END
    capture nat private home-agent
    move_node 10.0.0.1
    soon "registered from $care_of_private, which nobody outside can reach" registered_from "$care_of_private"
    say "  the home agent: $(registrations registration show "$node_ipv4" | sed -n 's/^ *tunnel: //p')"
    check "it has found the NAT, and tunnels in UDP" in_udp
    both_families
    end_capture nat
    packets=$(count_packets "$work/nat.pcap" "ip.addr == $nat_address")
    inner=$(count_packets "$work/nat.pcap" "udp.port == 434 && mip.type == 4 && (icmpv6 || icmp || tcp)")
    if ((inner > 0)) && (($(count_packets "$work/nat.pcap" "ip.addr == $nat_address && udp.port == 434") == packets)); then
        right "outside, all $packets packets are UDP of port 434, $inner of them with IPv6 or IPv4 inside (RFC 3519)"
    else
        wrong "outside there is something else than UDP of port 434: see $work/nat.pcap with --keep"
    fi
}
in_udp() { registrations registration show "$node_ipv4" | grep -q 'in UDP to port 40[0-9]*'; }

# The node comes to a network where it has no address, but a foreign agent is heard.
foreign_agent_scene() {
    local all
    start_foreign_agent
    capture foreign foreign home-agent
    leave_networks
    soon "registered by the foreign agent, with its address $foreign_agent" registered_from "$foreign_agent"
    node_program status | sed -n '/^care-of address\|^prefix/s/^/              /p'
    both_families
    end_capture foreign
    all=$(count_packets "$work/foreign.pcap" "ip.proto == 41 && ip.proto == 4")
    if ((all > 0)); then
        right "outside, IPv6 is in IPv4 of the home address, and that in IPv4 to the agent: $all packets (RFC 5454, 3.3.2)"
    else
        wrong "IPv6 did not go by way of the home address"
    fi
}

# A prefix that Kea delegates to dhcpcd, over the tunnel's link (RFC 5454, 3.7.1).
delegation_scene() {
    local prefix
    start_delegation
    say "  Kea serves DHCPv6 on the home agent's end of the link, dhcpcd is the client on the node's"
    soon "dhcpcd was delegated a prefix" grep -q 'delegated prefix' "$work/dhcpcd.log"
    prefix=$(sed -n 's/.*delegated prefix \([^ ]*\).*/\1/p' "$work/dhcpcd.log" | head -n 1)
    [ -n "$prefix" ] || return 0
    soon "$prefix was registered by dhcpcd's script: mooring-mn prefixes $prefix" prefix_is "$prefix" accepted
    check "the home agent tells others of $prefix" home_route "$prefix"
    echo_requests correspondent "${prefix%/*}1" "echo requests from the correspondent to ${prefix%/*}1"
    delegated=$prefix
}
delegated=

# A prefix that is nobody's business to ask for.
refusal_scene() {
    local foreign=2001:db8:66::/64
    # shellcheck disable=SC2086 # none, or one
    node_program prefixes $delegated "$foreign"
    soon "$foreign is refused" prefix_is "$foreign" rejected
    say "  $(node_program status | sed -n "s|^prefix  *\($foreign .*\)|\1|p"): $(rejection "$foreign")"
    check "$node_prefix is accepted as before" prefix_is "$node_prefix" accepted
    check "there is no route for $foreign" not home_route "$foreign"
    echo_requests correspondent "$node_address" "echo requests to the node"
    # shellcheck disable=SC2086
    node_program prefixes $delegated
}
# What the node's log says of it.
rejection() { sed -n "s|.*$1 is not registered: ||p" "$work/mooring-mn.log" | tail -n 1; }
not() { ! "$@"; }

deregistration_scene() {
    end_node
    soon "the node has deregistered" grep -q Deregistered "$work/mooring-mn.log"
    check "nothing is registered" not_registered
    check "the home agent's routes are gone" no_home_routes
    check "the node's rules are gone" not node_rules
    if inside correspondent ping -n -c 3 -i 0.2 -W 1 "$node_address" >"$work/ping.log" 2>&1; then
        wrong "the correspondent still reaches $node_address"
    else
        right "the correspondent reaches $node_address no more: $(sed -n 's/^From .*icmp_seq=1 //p' "$work/ping.log")"
    fi
    check "nor $node_ipv4" not inside correspondent ping -n -c 2 -i 0.2 -W 1 "$node_ipv4"
}
not_registered() {
    local status=0
    registrations registration show "$node_ipv4" || status=$?
    ((status == 1))
}
no_home_routes() {
    ! ip -4 -n "$(namespace home-agent)" route show proto 55 | grep -q . &&
        ! ip -6 -n "$(namespace home-agent)" route show proto 55 | grep -q .
}
node_rules() { ip -n "$(namespace node)" rule show | grep -q 'proto 55'; }

counters_scene() {
    local role
    for role in home-agent node; do
        mooring_at "$role" counters --json >"$work/$role.counters"
        say "  mooringd of the ${role/-/ }:"
        if figures counters "$work/$role.counters" | sed 's/^/              /'; then
            right "nothing is unaccounted for"
        else
            wrong "the counters do not balance"
        fi
    done
    say "  mooring-ha:"
    registrations registration counters | sed 's/^/              /'
}
