"""Markov attribution of synthetic journeys: `evaluator attribute` beside ChannelAttribution's markov_model; then
AnalyseExperiment over millions of units (evaluator_units.py).

Our time is the whole program's, from the file on disk to the printed answer; the peer's is its reading of the same file
(pandas) and its model, the import of its packages excluded. The peer simulates; its answer under several seeds shows how
far chance moves it, and ours must lie no further from their mean than one of its own runs does.
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

import evaluator_units
from report import Row, publish

EVALUATOR = "target/release/evaluator"
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


def compare(file: Path, count: int, order: int, runs: int, goal: float | None) -> list[Row]:
    own = [ours(file, order) for _ in range(runs)]
    peer = [theirs(file, order, seed) for seed in range(1, runs + 1)]
    channels = sorted(own[0][1])
    answers = np.array([[answer[channel] for channel in channels] for _, answer in peer])
    mean = answers.mean(axis=0)
    exact = np.array([own[0][1][channel] for channel in channels])
    name = f"attribution, {count} journeys, Markov of order {order}"
    version = "ChannelAttribution 2.2.5"
    return [
        Row(f"{name}: time", statistics.median(taken for taken, _ in own), statistics.median(taken for taken, _ in peer),
            version, "s", "lower", goal),
        Row(f"{name}: largest distance of a channel from the mean of the peer's {runs} seeds",
            float((np.abs(exact - mean) / mean).max()), float((np.abs(answers - mean) / mean).max()),
            f"{version}, its own seeds", "share of the channel's conversions", "lower", 1.0),
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--journeys", type=int, default=1_000_000)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--units", type=int, default=10_000_000)
    arguments.add_argument("--log-units", type=int, default=200_000)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "journeys.csv"
        journeys(given.journeys, seed=7).to_csv(file, index=False)
        rows = compare(file, given.journeys, 1, given.runs, 0.1) + compare(file, given.journeys, 2, given.runs, None)
    rows += evaluator_units.rows(given.units, given.log_units, runs=50)
    publish("evaluator", rows)


if __name__ == "__main__":
    main()
