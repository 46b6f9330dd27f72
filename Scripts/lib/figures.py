#!/usr/bin/env python3
"""Reads what ping, iperf3 and mooring printed and says it in a few words; used by demo and measure-handover.

figures.py ping FILE SENT              lost packets and the longest run of them
figures.py handover MONITOR GATEWAY CAPTURE   milliseconds from the route by the gateway to the first packet
figures.py iperf3 FILE [SECONDS]       Gbit/s; with SECONDS, before and after that moment of the transfer
figures.py messages                    registrations, from tshark's fields on standard input
figures.py counters FILE...            the balance and every counter above zero of `mooring counters --json`
Exit 1 where the figures say that it did not work.
"""
import datetime
import json
import re
import sys

# In Gbit/s: what passes below it is the first window of a connection that then stands still.
LEAST = 0.001


def ping(path, sent):
    """Prints 'lost longest first-lost'. Replies carry icmp_seq=1... modulo 65536."""
    with open(path, encoding="utf-8", errors="replace") as file:
        answered = {int(found) for found in re.findall(r"bytes from .*icmp_seq=(\d+)", file.read())}
    lost = [number for number in range(1, int(sent) + 1) if number not in answered]
    longest = run = 0
    previous = None
    for number in lost:
        run = run + 1 if previous is not None and number == previous + 1 else 1
        longest = max(longest, run)
        previous = number
    print(len(lost), longest, lost[0] if lost else 0)
    return 0 if answered else 1


def handover(monitor, gateway, capture):
    """Prints the milliseconds between a line of `ip -ts monitor` that names the gateway and one of `tcpdump -tt`."""
    with open(monitor, encoding="utf-8") as file:
        routes = re.findall(r"^\[([^]]+)\] default via (\S+)", file.read(), re.MULTILINE)
    with open(capture, encoding="utf-8") as file:
        packets = file.read().split()
    moments = [datetime.datetime.fromisoformat(time + "+00:00").timestamp() for time, via in routes if via == gateway]
    if not moments or not packets:
        return 1
    print(f"{(float(packets[0]) - moments[0]) * 1000:.1f}")
    return 0


def rate(intervals):
    """Gbit/s over intervals of iperf3."""
    seconds = sum(interval["seconds"] for interval in intervals)
    return sum(interval["bytes"] for interval in intervals) * 8 / seconds / 1e9 if seconds else 0.0


def is_too_slow(rates):
    """Says which of these rates, in Gbit/s by their names, no working tunnel has; then there are no figures."""
    slow = [f"{rate * 1e3:.3f} Mbit/s {name}" for name, rate in rates.items() if rate < LEAST]
    if slow:
        print(f"iperf3: {', '.join(slow)}, less than {LEAST * 1e3:.0f} Mbit/s", file=sys.stderr)
    return bool(slow)


def iperf3(path, moment=None):
    """Prints Gbit/s, or Gbit/s before and after and retransmitted segments."""
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    if "error" in report:
        print(f"iperf3: {report['error']}", file=sys.stderr)
        return 1
    received = report["end"]["sum_received"]["bits_per_second"] / 1e9
    if moment is None:
        if is_too_slow({"at all": received}):
            return 1
        print(f"{received:.2f}")
        return 0
    moment = float(moment)
    intervals = [interval["sum"] for interval in report["intervals"]]
    # The half second on either side is the move's own.
    before = rate([interval for interval in intervals if interval["end"] < moment - 0.5])
    after = rate([interval for interval in intervals if interval["start"] > moment + 0.5])
    if is_too_slow({"before": before, "after": after}):
        return 1
    print(f"{before:.2f} {after:.2f} {report['end']['sum_sent'].get('retransmits', 0)}")
    return 0


def counters(paths):
    """Prints counters above zero and whether in equals out."""
    status = 0
    for path in paths:
        with open(path, encoding="utf-8") as file:
            figures = json.load(file)
        received, generated, transmitted = (
            sum(figures[key].values()) for key in ("received", "generated", "transmitted"))
        dropped = {name: count for name, count in figures["dropped"].items() if count}
        entered = received + generated
        left = transmitted + figures["punted"] + figures["absorbed"] + sum(dropped.values())
        print(f"received {received} + generated {generated} "
              f"{'=' if entered == left else 'IS NOT'} transmitted {transmitted} + punted {figures['punted']} "
              f"+ absorbed {figures['absorbed']} + dropped {sum(dropped.values())}")
        for name, count in sorted(dropped.items()):
            print(f"dropped as {name}: {count}")
        if entered != left:
            status = 1
    return status


def messages():
    """Prints a line for each message, and one for each prefix in it."""
    for line in sys.stdin:
        source, kind, life, code, care_of, *lists = line.rstrip("\n").split("\t")
        subtypes, codes, prefixes, lengths = (field.split(",") if field else [] for field in lists)
        if kind == "1":
            print(f"request from {source} for {life} s, care-of address {care_of}"
                  + (", IPv6 to the care-of address" if "3" in subtypes else ""))
        else:
            print(f"reply from {source} for {life} s, code {code}")
        for index, (prefix, length) in enumerate(zip(prefixes, lengths)):
            print(f"    prefix {prefix}/{length}" + (f", code {codes[index]}" if kind == "3" else ""))
    return 0


def main(arguments):
    """Runs the function that the first argument names."""
    actions = {
        "ping": lambda rest: ping(*rest), "iperf3": lambda rest: iperf3(*rest), "counters": counters,
        "messages": lambda rest: messages(), "handover": lambda rest: handover(*rest),
    }
    if not arguments or arguments[0] not in actions:
        print(__doc__, file=sys.stderr)
        return 2
    return actions[arguments[0]](arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
