"""Truncated SVD of a sparse power-law matrix: `recommender factorise` beside scikit-learn's randomized_svd.

Time is the factorisation's own, reading excluded on both sides; energy is ‖A·V‖² / ‖A‖², to be equal or better.
The peer may take as many power iterations as it needs to reach our energy, at most eight.
"""

import argparse
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

from report import Row, publish

RECOMMENDER = "target/release/recommender"


def power_law(rows: int, columns: int, entries: int, seed: int) -> sp.csr_matrix:
    random = np.random.default_rng(seed)
    weight = 1.0 / np.arange(1, columns + 1) ** 0.8
    column = random.choice(columns, size=entries, p=weight / weight.sum())
    row = random.integers(0, rows, size=entries)
    matrix = sp.csr_matrix((np.ones(entries, np.float32), (row, column)), shape=(rows, columns))
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def energy(matrix: sp.csr_matrix, v: np.ndarray) -> float:
    return float(np.square(matrix @ v).sum() / np.square(matrix.data).sum())


def factorise(rows: int, columns: int, entries: int, rank: int, runs: int) -> list[Row]:
    matrix = power_law(rows, columns, entries, seed=7)
    with tempfile.TemporaryDirectory() as folder:
        file, factors = Path(folder) / "a.npz", Path(folder) / "factors.safetensors"
        sp.save_npz(file, matrix, compressed=False)
        command = [RECOMMENDER, "factorise", "--matrix", file, "--rank", str(rank), "--output", factors, "--json"]
        ours = [json.loads(subprocess.check_output(command))["seconds"] for _ in range(runs)]
        v = load_file(factors)["v"]
        reached = energy(matrix, v if v.shape[0] == columns else v.T)
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


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=100_000)
    arguments.add_argument("--columns", type=int, default=50_000)
    arguments.add_argument("--entries", type=int, default=10_000_000)
    arguments.add_argument("--rank", type=int, default=64)
    arguments.add_argument("--runs", type=int, default=3)
    publish("recommender", factorise(**vars(arguments.parse_args())))


if __name__ == "__main__":
    main()
