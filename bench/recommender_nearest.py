"""The ten largest inner products with one query on one thread: `recommender nearest` beside faiss.

In 32-bit floats beside IndexFlatIP, in eight bits beside the scalar quantiser SQ8; medians over the queries. Recall is
the share of the true ten that is found.
"""

import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import faiss
import numpy as np

from recommender_data import factors
from report import Row

LIMIT = 10


def peer(index: faiss.Index, queries: np.ndarray) -> tuple[float, np.ndarray]:
    took, found = [], []
    for query in queries:
        started = time.perf_counter()
        _, rows = index.search(query[None], LIMIT)
        took.append((time.perf_counter() - started) * 1e6)
        found.append(rows[0])
    return statistics.median(took), np.array(found)


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([len(set(f) & set(t)) / LIMIT for f, t in zip(found, truth, strict=True)]))


def beside_faiss(program: str, count: int, rank: int, asked: int) -> list[Row]:
    faiss.omp_set_num_threads(1)
    rows, queries = factors(count, rank, 3), factors(asked, rank, 4)
    flat = faiss.IndexFlatIP(rank)
    flat.add(rows)
    small = faiss.IndexScalarQuantizer(rank, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    small.train(rows)
    small.add(rows)
    ours = {}
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "rows.npy", rows)
        np.save(Path(folder) / "queries.npy", queries)
        for precision in ("f32", "i8"):
            command = [program, "nearest", "--rows", f"{folder}/rows.npy", "--queries", f"{folder}/queries.npy",
                       "--limit", str(LIMIT), "--precision", precision, "--json"]
            told = json.loads(subprocess.check_output(command))
            ours[precision] = told["median_microseconds"], np.array(told["rows"])
    exact, quantised = peer(flat, queries), peer(small, queries)
    name, version = f"top {LIMIT} of {count}×{rank}", f"faiss {faiss.__version__}"
    return [
        Row(f"{name}, f32: time", ours["f32"][0], exact[0], f"{version} IndexFlatIP", "µs", "lower", 0.75),
        Row(f"{name}, f32: recall", recall(ours["f32"][1], exact[1]), 1.0, f"{version} IndexFlatIP", "share", "higher", 0.999),
        Row(f"{name}, i8: time", ours["i8"][0], quantised[0], f"{version} SQ8", "µs", "lower", 0.5),
        Row(f"{name}, i8: recall", recall(ours["i8"][1], exact[1]), 1.0, "the true ten", "share", "higher", 0.98),
        Row(f"{name}, SQ8's recall", recall(ours["i8"][1], exact[1]), recall(quantised[1], exact[1]), f"{version} SQ8", "share", "higher"),
    ]
