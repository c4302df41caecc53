"""Matrices and factors as shops have them: a few goods are taken often, most rarely."""

import numpy as np
import scipy.sparse as sp


def power_law(rows: int, columns: int, entries: int, seed: int) -> sp.csr_matrix:
    """Ones at random places, column `c` with a weight of (c + 1)^-0.8; repeats of a place count once."""
    random = np.random.default_rng(seed)
    weight = 1.0 / np.arange(1, columns + 1) ** 0.8
    edges = np.cumsum(weight / weight.sum())
    column = np.searchsorted(edges, random.random(entries)).astype(np.int32).clip(max=columns - 1)
    row = random.integers(0, rows, size=entries, dtype=np.int32)
    matrix = sp.csr_matrix((np.ones(entries, np.float32), (row, column)), shape=(rows, columns))
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def factors(count: int, rank: int, seed: int) -> np.ndarray:
    """Rows like an item's factors: later dimensions smaller, some rows larger than others."""
    random = np.random.default_rng(seed)
    rows = random.standard_normal((count, rank)) * np.arange(1, rank + 1) ** -0.5
    return (rows * random.lognormal(0.0, 0.5, (count, 1))).astype(np.float32)
