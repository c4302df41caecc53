"""An experiment over millions of units: AnalyseExperiment from its cells beside the same sums taken unit by unit.

The units are drawn once (numpy) and summed up into cells as the evaluator keeps them, which are written into a database of
its own making. Ours is the median answer over gRPC; the peer is Welch's test on all units (numpy and scipy), the units
already in memory. Then a log of fewer units is written and `evaluator rebuild` must find the bytes that were kept.
"""

import json
import socket
import sqlite3
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import grpc
import numpy as np
from scipy import stats

from report import Row

EVALUATOR = "target/release/evaluator"
METHOD = "/bespoke.evaluator.v1.ExperimentService/AnalyseExperiment"
EXPERIMENT = "large"
VARIANTS = ("control", "treatment")
CHANNELS, DAYS, FIRST_DAY = 9, 30, 20_000
DAY = 86_400_000_000
DESIGN = {"experiment_id": EXPERIMENT, "variants": [{"variant_id": v, "weight": 0.5, "parameters": {}} for v in VARIANTS],
          "hash_version": 2, "seed": EXPERIMENT, "coverage": 1.0, "namespace": None, "metrics": ["CTR", "CR", "REVENUE"],
          "guardrails": [], "holdout": 0.0}


def database(folder: Path, name: str) -> tuple[str, sqlite3.Connection]:
    """An empty database of the evaluator with the experiment running in it."""
    url = f"sqlite://{folder / name}.db?mode=rwc"
    subprocess.check_call([EVALUATOR, "migrate", "--set", f"store.url={url}"], stdout=subprocess.DEVNULL)
    connection = sqlite3.connect(folder / f"{name}.db")
    connection.execute("INSERT INTO evaluator_experiment (experiment_id, state, created_at, started_at, stopped_at, design)"
                       " VALUES (?, 2, ?, ?, NULL, ?)", (EXPERIMENT, 0, FIRST_DAY * DAY, json.dumps(DESIGN)))
    return url, connection


def units(count: int, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    variant = random.integers(0, 2, count)
    seen = random.poisson(3.0, count) + 1
    bought = random.random(count) < 0.05 + 0.001 * variant
    return {"variant": variant, "channel": random.integers(1, CHANNELS + 1, count), "day": random.integers(0, DAYS, count),
            "impressions": seen, "clicks": random.binomial(seen, 0.1), "bought": bought.astype(np.int64),
            "revenue": np.where(bought, random.integers(100, 20_000, count), 0)}


def write_cells(connection: sqlite3.Connection, of: dict[str, np.ndarray]) -> None:
    """The sums by variant, channel and day; fields as the evaluator writes them."""
    place = (of["variant"] * CHANNELS + of["channel"] - 1) * DAYS + of["day"]
    one, none = np.ones_like(place), np.zeros_like(place)
    for metric, currency, x, d in [("UNITS", "", one, none), ("CTR", "", of["clicks"], of["impressions"]),
                                   ("CR", "", of["bought"], one), ("REVENUE", "USD", of["revenue"], one)]:
        # Who has neither outcome nor covariate is in no cell but that of units.
        some = (x > 0) if metric != "CTR" else np.ones_like(x, dtype=bool)
        sums = [np.bincount(place[some], weights=part[some].astype(float), minlength=2 * CHANNELS * DAYS).astype(np.int64)
                for part in ((x > 0), x, x * x, d, d * d, x * d)]
        rows = [(EXPERIMENT, metric, currency, VARIANTS[at // (CHANNELS * DAYS)], at // DAYS % CHANNELS + 1,
                 FIRST_DAY + at % DAYS, 0, " ".join(str(part[at]) for part in sums) + " 0 0 0")
                for at in range(2 * CHANNELS * DAYS)]
        connection.executemany("INSERT INTO evaluator_cell (experiment_id, metric, currency, variant_id, channel, day, bin,"
                               " sums) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.commit()


def ours(url: str, runs: int) -> float:
    """Median seconds of an answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    server = subprocess.Popen([EVALUATOR, "serve", "--set", f"store.url={url}", "--set", f"server.listen={address}"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with grpc.insecure_channel(address) as channel:
            grpc.channel_ready_future(channel).result(timeout=30)
            analyse = channel.unary_unary(METHOD)
            request = b"\x0a" + bytes([len(EXPERIMENT)]) + EXPERIMENT.encode()
            times = []
            for _ in range(runs):
                started = time.perf_counter()
                analyse(request)
                times.append(time.perf_counter() - started)
            return statistics.median(times)
    finally:
        server.terminate()
        server.wait()


def theirs(of: dict[str, np.ndarray]) -> float:
    started = time.perf_counter()
    treated = of["variant"] == 1
    for outcome in ("clicks", "bought", "revenue"):
        stats.ttest_ind(of[outcome][treated].astype(float), of[outcome][~treated].astype(float), equal_var=False)
    return time.perf_counter() - started


def rebuild(folder: Path, count: int) -> float:
    """Seconds of `evaluator rebuild` over a log of `count` units, each with a decision and two events."""
    url, connection = database(folder, "log")
    at = lambda unit: FIRST_DAY * DAY + unit * 1_000_000
    connection.executemany(
        "INSERT INTO evaluator_assignment (decision_id, experiment_id, variant_id, unit, decided_at, channel)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        ((f"d{u}", EXPERIMENT, VARIANTS[u % 2], f"u{u}", at(u), u % CHANNELS + 1) for u in range(count)))
    event = ("INSERT INTO evaluator_event (event_id, person, visitor, kind, occurred_at, channel, campaign_id, decision_id,"
             " offer_id, order_id, currency, revenue, cost, tax, rating, payload)"
             " VALUES (?, ?, '', ?, ?, 1, '', ?, '', ?, ?, ?, NULL, NULL, NULL, x'')")
    connection.executemany(event, ((f"i{u}", f"u{u}", 1, at(u) + 1, f"d{u}", "", "", None) for u in range(count)))
    connection.executemany(event, ((f"p{u}", f"u{u}", 6, at(u) + 2, f"d{u}", f"o{u}", "USD", 100 + u % 977)
                                   for u in range(count)))
    connection.commit()
    connection.close()
    command = [EVALUATOR, "rebuild", "--json", "--set", f"store.url={url}"]
    subprocess.check_call(command, stdout=subprocess.DEVNULL)
    started = time.perf_counter()
    answer = json.loads(subprocess.check_output(command))
    taken = time.perf_counter() - started
    if not answer["same"]:
        raise SystemExit(f"the rebuilt cells differ: {answer}")
    return taken


def rows(count: int, log: int, runs: int) -> list[Row]:
    of = units(count, seed=3)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url, connection = database(folder, "cells")
        write_cells(connection, of)
        connection.close()
        taken = ours(url, runs)
        rebuilt = rebuild(folder, log)
    peer = statistics.median(theirs(of) for _ in range(3))
    return [
        Row(f"AnalyseExperiment, {count} units, 3 metrics, over gRPC", taken * 1e3, peer * 1e3,
            "scipy 1.17.1 ttest_ind on all units", "ms", "lower"),
        Row(f"evaluator rebuild of a log of {log} units, {2 * log} events: the same bytes", rebuilt, None, "–", "s", "lower"),
    ]
