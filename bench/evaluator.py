"""Markov attribution of synthetic journeys: `evaluator attribute` beside ChannelAttribution's markov_model; then
AnalyseExperiment over millions of units (evaluator_units.py).

Our time is the whole program's, from the file on disk to the printed answer; the peer's is its reading of the same file
(pandas) and its model, the import of its packages excluded. The two take turns, so that what else the machine does
falls on both. Whether the answers are right is asked of a part of the journeys (evaluator_chain.py).
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import ChannelAttribution
import numpy as np
import pandas as pd

import evaluator_chain
import evaluator_units
from report import Row, publish

EVALUATOR = "target/release/evaluator"
VERSION = "ChannelAttribution 2.2.5"
# Journeys whose credits are compared.
PART = 50_000
CHANNELS = ["search", "social", "email", "push", "display", "affiliate", "video", "direct", "sms", "wechat", "referral",
            "print"]


def journeys(count: int, seed: int) -> pd.DataFrame:
    """Journeys of 1 to 20 touches, popular channels first, a fifth of them converted."""
    random = np.random.default_rng(seed)
    weight = 1.0 / np.arange(1, len(CHANNELS) + 1) ** 0.8
    lengths = np.minimum(random.geometric(0.3, size=count), 20)
    touched = np.array(CHANNELS)[random.choice(len(CHANNELS), size=lengths.sum(), p=weight / weight.sum())]
    ends = np.cumsum(lengths)
    paths = [" > ".join(touched[end - length:end]) for end, length in zip(ends, lengths)]
    converted = random.random(count) < 0.2
    value = np.where(converted, random.integers(1, 1000, count) / 10, 0.0)
    return pd.DataFrame({"path": paths, "conversions": converted.astype(int), "value": value,
                         "nulls": (~converted).astype(int)})


def ours(file: Path, order: int) -> tuple[float, dict[str, float]]:
    command = [EVALUATOR, "attribute", "--journeys", file, "--model", "markov", "--order", str(order), "--json"]
    started = time.perf_counter()
    answer = json.loads(subprocess.check_output(command))
    taken = time.perf_counter() - started
    return taken, {credit["channel"]: credit["conversions"] for credit in answer["credits"]}


def theirs(file: Path, order: int, seed: int) -> tuple[float, dict[str, float]]:
    started = time.perf_counter()
    table = pd.read_csv(file)
    result = ChannelAttribution.markov_model(table, "path", "conversions", var_value="value", var_null="nulls",
                                             order=order, seed=seed, verbose=False, flg_pro=False)
    taken = time.perf_counter() - started
    return taken, dict(zip(result["channel_name"], result["total_conversions"]))


def times(file: Path, count: int, order: int, runs: int, goal: float) -> Row:
    taken = [(ours(file, order)[0], theirs(file, order, seed)[0]) for seed in range(runs)]
    own, peer = (statistics.median(side) for side in zip(*taken))
    return Row(f"attribution, {count} journeys, Markov of order {order}: time", own, peer, VERSION, "s", "lower", goal)


def answers(table: pd.DataFrame, file: Path, order: int, seeds: int) -> list[Row]:
    return evaluator_chain.rows(table, order, ours(file, order)[1], lambda seed: theirs(file, order, seed)[1], seeds,
                                VERSION)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--journeys", type=int, default=1_000_000)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--seeds", type=int, default=60)
    arguments.add_argument("--units", type=int, default=10_000_000)
    arguments.add_argument("--log-units", type=int, default=200_000)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file, part = Path(folder) / "journeys.csv", Path(folder) / "part.csv"
        table = journeys(given.journeys, seed=7)
        table.to_csv(file, index=False)
        table = table.head(PART)
        table.to_csv(part, index=False)
        rows = [times(file, given.journeys, order, given.runs, 0.1) for order in (1, 2)]
        rows += [row for order in (1, 2) for row in answers(table, part, order, given.seeds)]
    rows += evaluator_units.rows(given.units, given.log_units, runs=50)
    publish("evaluator", rows)


if __name__ == "__main__":
    main()
