"""Truncated SVD of a sparse power-law matrix: `recommender factorise` beside scikit-learn's randomized_svd.

Time is the factorisation's own, reading excluded on both sides; energy is ‖A·V‖² / ‖A‖², to be equal or better.
The peer may take as many power iterations as it needs to reach our energy, at most eight.
"""

import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from safetensors.numpy import load_file
from sklearn.utils.extmath import randomized_svd

from recommender_data import power_law
from report import Row


def energy(matrix: sp.csr_matrix, v: np.ndarray) -> float:
    return float(np.square(matrix @ v).sum() / np.square(matrix.data).sum())


def factorise(program: str, matrix: sp.csr_matrix, rank: int, runs: int) -> tuple[list[dict], np.ndarray]:
    """What each run says of itself, and V."""
    with tempfile.TemporaryDirectory() as folder:
        file, factors = Path(folder) / "a.npz", Path(folder) / "factors.safetensors"
        sp.save_npz(file, matrix, compressed=False)
        command = [program, "factorise", "--matrix", file, "--rank", str(rank), "--output", factors, "--json"]
        told = [json.loads(subprocess.check_output(command)) for _ in range(runs)]
        return told, load_file(factors)["v"]


def beside_scikit_learn(program: str, rows: int, columns: int, entries: int, rank: int, runs: int) -> list[Row]:
    matrix = power_law(rows, columns, entries, seed=7)
    told, v = factorise(program, matrix, rank, runs)
    ours, reached = [run["seconds"] for run in told], energy(matrix, v)
    for power in range(1, 9):
        theirs = []
        for _ in range(runs):
            started = time.perf_counter()
            _, _, vt = randomized_svd(matrix, rank, n_iter=power, random_state=0)
            theirs.append(time.perf_counter() - started)
        if energy(matrix, vt.T) >= reached * (1 - 1e-4):
            break
    name = f"SVD {rows}×{columns}, {matrix.nnz} values, rank {rank}"
    peer = f"scikit-learn randomized_svd, {power} power iterations"
    return [
        Row(f"{name}: time", statistics.median(ours), statistics.median(theirs), peer, "s", "lower", 0.33),
        Row(f"{name}: energy", reached, energy(matrix, vt.T), peer, "share", "higher", 0.9999),
    ]


def growth(program: str, sizes: list[int], rank: int) -> list[Row]:
    """Time and peak memory as the matrix grows on every side, and the exponent of a power of its entries."""
    rows, times, peaks, counts = [], [], [], []
    for entries in sizes:
        matrix = power_law(entries // 100, entries // 200, entries, seed=7)
        shape, count = f"{matrix.shape[0]}×{matrix.shape[1]}", matrix.nnz
        told, _ = factorise(program, matrix, rank, 1)
        del matrix
        times.append(told[0]["seconds"])
        peaks.append(told[0]["peak_bytes"] / 1e6)
        counts.append(count)
        rows.append(Row(f"SVD {shape}, {count} values, rank {rank}: time", times[-1], None, "", "s", "lower"))
        rows.append(Row(f"SVD {shape}, {count} values, rank {rank}: peak memory", peaks[-1], None, "", "MB", "lower"))
    for name, values in (("time", times), ("peak memory", peaks)):
        exponent = float(np.polyfit(np.log(counts), np.log(values), 1)[0])
        rows.append(Row(f"SVD: {name} grows with the values to the power of", exponent, None, "", "", "lower"))
    return rows
