"""The recommender's catalogue feed at a million items: start to ready, one changed row, and how soon it is shown.

Two replicas on one SQLite file share the machine's cores with the caller. There is no peer: goals are absolute.
"""

import argparse
import json
import subprocess

from report import Row, publish


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--items", type=int, default=1_000_000)
    arguments.add_argument("--changes", type=int, default=200)
    arguments.add_argument("--url", help="a PostgreSQL database to fill instead of a SQLite file")
    given = {name: value for name, value in vars(arguments.parse_args()).items() if value is not None}
    options = [part for name, value in given.items() for part in (f"--{name}", str(value))]
    command = ["cargo", "bench", "--quiet", "--locked", "-p", "recommender", "--bench", "catalogue", "--", *options]
    told = json.loads(subprocess.check_output(command))
    items = told["items"]

    def row(name: str, key: str, unit: str) -> Row:
        return Row(f"{items} items: {name}", told[key], None, "", unit, "lower")

    publish(
        "catalogue",
        [
            row("start to first probe answered", "probe_answered_seconds", "s"),
            row("start to ready (20 allowed)", "ready_seconds", "s"),
            row("UpsertItems of one row: p50 (5 allowed)", "upsert_ms_p50", "ms"),
            row("UpsertItems of one row: p99", "upsert_ms_p99", "ms"),
            row("UpdateItems of one price: p50", "update_ms_p50", "ms"),
            row("UpdateItems of one price: p99", "update_ms_p99", "ms"),
            row("shown by another replica: p50", "other_replica_ms_p50", "ms"),
            row("shown by another replica: slowest (100 allowed)", "other_replica_ms_max", "ms"),
            row("all items stored", "fill_seconds", "s"),
        ],
    )


if __name__ == "__main__":
    main()
