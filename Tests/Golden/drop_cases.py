"""A case for each reason to drop that the data path has."""

from golden import Case, vectors

# What an error to the source goes with is in tunnel_cases.
ANSWERED = {"no-binding", "packet-too-big"}
ROWS = {
    "inner-source-unregistered": "H13", "outer-source-mismatch": "H14, H12", "outer-source-invalid": "T7",
    "inner-source-invalid": "T7", "inner-version": "T7", "ecn-not-capable": "T8",
    "fragment-length": "T7", "fragment-overlap": "T7", "fragment-duplicate": "T7", "fragment-spoiled": "T7",
    "fragment-limit": "T7", "no-group-member": "H15", "multicast-not-carried": "H15", "link-local": "P1, T2",
    "neighbor-hop-limit": "T3", "listener-malformed": "H16",
}


def make():
    by_reason = {}
    for entry in vectors.make_drops():
        if entry["reason"] not in ANSWERED:
            by_reason.setdefault(entry["reason"], []).append(entry)
    cases = []
    for reason, entries in by_reason.items():
        names = "; ".join(dict.fromkeys(entry["name"] for entry in entries))
        case = Case(f"drop-{reason}", f"Dropped as {reason}: {names}.", ROWS.get(reason, ""))
        for entry in entries:
            case.dropped_as(entry)
        cases.append(case)
    return cases
