"""The recommender's kernels beside named peers: truncated SVD, implicit ALS, the nearest rows; and how SVD grows.

--largest adds 100 million values to the growth (about 10 GB of memory); --only runs some of the parts.
"""

import argparse
import os

# Settings of the workplace that may slow the peers' numpy must not decide a comparison.
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)

from recommender_als import beside_implicit  # noqa: E402
from recommender_nearest import beside_faiss  # noqa: E402
from recommender_svd import beside_scikit_learn, growth  # noqa: E402
from report import publish  # noqa: E402

PROGRAM = os.environ.get("BESPOKE_RECOMMENDER", "target/release/recommender")
PARTS = ["svd", "als", "nearest", "growth"]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=100_000)
    arguments.add_argument("--columns", type=int, default=50_000)
    arguments.add_argument("--entries", type=int, default=10_000_000)
    arguments.add_argument("--rank", type=int, default=64)
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--threads", type=int, default=os.cpu_count())
    arguments.add_argument("--largest", action="store_true")
    arguments.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    given = arguments.parse_args()
    os.environ["RAYON_NUM_THREADS"] = str(given.threads)
    shape = (given.rows, given.columns, given.entries, given.rank, given.runs)
    sizes = [1_000_000, 10_000_000] + ([100_000_000] if given.largest else [])
    parts = {
        "svd": lambda: beside_scikit_learn(PROGRAM, *shape),
        "als": lambda: beside_implicit(PROGRAM, *shape, given.threads),
        "nearest": lambda: beside_faiss(PROGRAM, given.columns, given.rank, 1_000),
        "growth": lambda: growth(PROGRAM, sizes, given.rank),
    }
    publish("recommender", [row for part in given.only for row in parts[part]()])


if __name__ == "__main__":
    main()
