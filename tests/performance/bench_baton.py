"""The benchmark: `python tests/performance/bench_baton.py [--quick] [NAME ...]`.

Not a test: nothing here passes or fails. Every baseline is started by the bench itself and measured in turn
with ours, so that the ratios mean something on a noisy machine; absolute figures do not travel.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping

import bench_accept
import bench_footprint
import bench_latency
import bench_streams
from standing import Stand
from table import Table

BENCHES: Mapping[str, Callable[[Stand], Table]] = {
    "accept": bench_accept.run,
    "latency": bench_latency.run,
    "footprint": bench_footprint.run,
    "streams": bench_streams.run,
}


def main(arguments: list[str] | None = None) -> int:
    """Run what was named, everything by default; print one table each."""
    parser = argparse.ArgumentParser(prog="bench_baton.py", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="short rounds: to see that it works")
    parser.add_argument(
        "--tiny", action="store_true", help="a few operations on SQLite: for the bench's test"
    )
    parser.add_argument("--fresh", action="store_true", help="footprint: also from a fresh clone to ready")
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.names) - set(BENCHES)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    for name in chosen.names or BENCHES:
        with Stand.up(quick=chosen.quick, tiny=chosen.tiny) as stand:
            stand.fresh = chosen.fresh
            started, load = time.perf_counter(), os.getloadavg()[0]
            table = BENCHES[name](stand)
        table.note(
            f"took {time.perf_counter() - started:.0f} s; "
            f"load before {load:.1f}, after {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores"
        )
        print(table, end="\n\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
