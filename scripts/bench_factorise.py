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


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("recommender", type=Path)
    arguments.add_argument("output", type=Path)
    arguments.add_argument("--rows", type=int, default=20_000)
    arguments.add_argument("--columns", type=int, default=10_000)
    arguments.add_argument("--entries", type=int, default=2_000_000)
    arguments.add_argument("--rank", type=int, default=64)
    arguments.add_argument("--runs", type=int, default=3)
    given = arguments.parse_args()
    matrix = power_law(given.rows, given.columns, given.entries, seed=7)
    with tempfile.TemporaryDirectory() as folder:
        file, factors = Path(folder) / "a.npz", Path(folder) / "factors.safetensors"
        sp.save_npz(file, matrix, compressed=False)
        command = [given.recommender, "factorise", "--matrix", file, "--rank", str(given.rank),
                   "--output", factors, "--json"]
        ours = [json.loads(subprocess.check_output(command))["seconds"] for _ in range(given.runs)]
        v = load_file(factors)["v"]
        v = v if v.shape[0] == given.columns else v.T
        reached = energy(matrix, v)
    for power in range(1, 9):
        theirs = []
        for _ in range(given.runs):
            started = time.perf_counter()
            _, _, vt = randomized_svd(matrix, given.rank, n_iter=power, random_state=0)
            theirs.append(time.perf_counter() - started)
        if energy(matrix, vt.T) >= reached * (1 - 1e-4):
            break
    row = {
        "matrix": [given.rows, given.columns, int(matrix.nnz)], "rank": given.rank,
        "seconds": statistics.median(ours), "energy": reached,
        "peer": "scikit-learn randomized_svd", "peer_power_iterations": power,
        "peer_seconds": statistics.median(theirs), "peer_energy": energy(matrix, vt.T),
    }
    row["ratio"] = row["seconds"] / row["peer_seconds"]
    (given.output / "factorise.json").write_text(json.dumps(row, indent=1) + "\n")
    print(f"{'factorise':<12} {row['seconds']:.2f} s   energy {reached:.4f}")
    print(f"{row['peer']:<12} {row['peer_seconds']:.2f} s   energy {row['peer_energy']:.4f}   ratio {row['ratio']:.2f}")


if __name__ == "__main__":
    main()
