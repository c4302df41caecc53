"""`Recommend` over gRPC on this machine: latency at 100 and 1 000 requests/s and at saturation, 50 000 items.

One recommender process on 127.0.0.1, filled and trained by `serving_load`, which calls it from a process of its own and
shares the machine's cores with it. Latencies count from when a call was due. There is no peer: goals are absolute.
"""

import argparse
import json
import subprocess

from report import Row, publish

LOAD = "target/release/serving_load"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--items", type=int, default=50_000)
    arguments.add_argument("--people", type=int, default=20_000)
    arguments.add_argument("--seconds", type=int, default=10)
    given = vars(arguments.parse_args())
    command = [LOAD, *(part for name, value in given.items() for part in (f"--{name}", str(value)))]
    told = json.loads(subprocess.check_output(command))
    rows = []
    for load in told["loads"]:
        name = f"Recommend, {told['items']} items, {load['name']}"
        rows.append(Row(f"{name}: answered", load["answered_per_second"], None, "", "1/s", "higher"))
        rows.append(Row(f"{name}: p50", load["p50_ms"], None, "", "ms", "lower"))
        rows.append(Row(f"{name}: p99", load["p99_ms"], None, "", "ms", "lower"))
        rows.append(Row(f"{name}: failed", load["failed"], None, "", "calls", "lower"))
    rows.append(Row("a click is felt: p50", told["click_felt_ms_p50"], None, "", "ms", "lower"))
    rows.append(Row("a click is felt: slowest", told["click_felt_ms_max"], None, "", "ms", "lower"))
    publish("serving", rows)


if __name__ == "__main__":
    main()
