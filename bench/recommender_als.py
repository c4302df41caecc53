"""Implicit ALS: `recommender als` beside the package `implicit`, by the time to the loss it has after 15 iterations.

Both minimise Hu, Koren and Volinsky's loss (2008, eq. 3) with confidence 1 + α·r, on the same threads; `implicit` with
its conjugate gradients and, as it advises, one thread for BLAS. The loss of both is computed here, by one function.
"""

import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from safetensors.numpy import load_file
from threadpoolctl import threadpool_limits

from recommender_data import power_law
from report import Row

ALPHA, RIDGE, ITERATIONS = 10.0, 3.0, 15


def loss(matrix: sp.csr_matrix, x: np.ndarray, y: np.ndarray) -> float:
    x, y = x.astype(np.float64), y.astype(np.float64)
    total = float(np.sum((x.T @ x) * (y.T @ y))) + RIDGE * (np.square(x).sum() + np.square(y).sum())
    for start in range(0, matrix.shape[0], 5_000):
        part = matrix[start : start + 5_000].tocoo()
        product = np.einsum("ij,ij->i", x[start + part.row], y[part.col])
        total += float(np.sum((1 + ALPHA * part.data) * np.square(1 - product) - np.square(product)))
    return total


def peer(matrix: sp.csr_matrix, rank: int, threads: int) -> tuple[float, float]:
    """Seconds of 15 iterations, and the loss then."""
    confidence = matrix.copy()
    confidence.data = 1 + ALPHA * confidence.data
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=rank, regularization=RIDGE, alpha=1.0, iterations=ITERATIONS, num_threads=threads, random_state=0
        )
        started = time.perf_counter()
        model.fit(confidence, show_progress=False)
        seconds = time.perf_counter() - started
    return seconds, loss(matrix, model.user_factors, model.item_factors)


def ours(program: str, matrix: sp.csr_matrix, rank: int, wanted: float, runs: int) -> tuple[float, int, float]:
    """Median seconds to the loss wanted, iterations it took, and the loss then."""
    with tempfile.TemporaryDirectory() as folder:
        file, factors = Path(folder) / "a.npz", Path(folder) / "factors.safetensors"
        sp.save_npz(file, matrix, compressed=False)
        command = [program, "als", "--matrix", file, "--rank", str(rank), "--alpha", str(ALPHA), "--ridge", str(RIDGE),
                   "--output", factors, "--json", "--iterations"]
        losses = json.loads(subprocess.check_output([*command, str(ITERATIONS)]))["losses"]
        reached = next((step for step in losses if step["loss"] <= wanted), None)
        if reached is None:
            raise SystemExit(f"{ITERATIONS} iterations end at a loss of {losses[-1]['loss']}; implicit reached {wanted}")
        seconds = [reached["seconds"]]
        for _ in range(runs - 1):
            again = json.loads(subprocess.check_output([*command, str(reached["iteration"])]))
            seconds.append(again["losses"][-1]["seconds"])
        if runs > 1:
            found = load_file(factors)
            checked = loss(matrix, found["u"], found["v"])
            if abs(checked - reached["loss"]) > 1e-3 * checked:
                raise SystemExit(f"the program tells a loss of {reached['loss']}, its factors have {checked}")
        return statistics.median(seconds), reached["iteration"], reached["loss"]


def beside_implicit(program: str, rows: int, columns: int, entries: int, rank: int, runs: int, threads: int) -> list[Row]:
    matrix = power_law(rows, columns, entries, seed=7)
    theirs, wanted = peer(matrix, rank, threads)
    seconds, iterations, reached = ours(program, matrix, rank, wanted, runs)
    name = f"ALS {rows}×{columns}, {matrix.nnz} values, {rank} factors"
    told = f"implicit, {ITERATIONS} iterations, {threads} threads"
    return [
        Row(f"{name}: time to implicit's loss ({iterations} iterations)", seconds, theirs, told, "s", "lower", 0.8),
        Row(f"{name}: loss then", reached, wanted, told, "", "lower", 1.0),
    ]
