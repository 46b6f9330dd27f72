#!/usr/bin/python3
"""Makes the golden cases: folders that `mooring replay --check` runs.

Packets and what is expected of them are scapy's and plain arithmetic's; nothing here is read back from the forwarder.
The output is the same on every run and is committed. To make it anew:

    apt-get install python3-scapy && Tests/Golden/make.py

Folders that no module makes any more are removed.
"""

import shutil
import sys

sys.dont_write_bytecode = True

import capture_cases
import drop_cases
import flow_cases
import fragment_cases
import fragment_ecn_cases
import group_cases
import kind_cases
import link_cases
import link_local_cases
import network_cases
import node_cases
import node_link_cases
import reassembly_cases
import replay_cases
import state_cases
import tunnel_cases
from golden import HERE


def main():
    cases = []
    for module in (tunnel_cases, drop_cases, kind_cases, fragment_cases, reassembly_cases, fragment_ecn_cases, group_cases,
                   link_local_cases, network_cases, node_cases, node_link_cases, state_cases, link_cases, replay_cases, flow_cases,
                   capture_cases):
        cases += module.make()
    names = [case.name for case in cases]
    if len(set(names)) != len(names):
        raise SystemExit("two cases have one name")
    for folder in HERE.iterdir():
        if (folder / "bindings.json").exists() and folder.name not in names:
            shutil.rmtree(folder)
    for case in cases:
        case.write()
    print(f"{len(cases)} cases")


if __name__ == "__main__":
    main()
