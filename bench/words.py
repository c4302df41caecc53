"""Which of two headlines was clicked more: `generator words evaluate` beside TF-IDF of characters and words.

Both learn from the same four fifths of the tests and are asked about every pair of the rest; the fold is the SHA-256 of
a test's id, its first eight bytes modulo 5. Pairs clicked just as often are left out. The peer's C is the best of three
on the test pairs themselves, which favours it.
"""

import argparse
import csv
import gzip
import hashlib
import json
import subprocess
from collections import defaultdict
from itertools import combinations

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from report import Row, publish

GENERATOR = "target/release/generator"
CS = (0.1, 0.3, 1.0)


def read(path: str) -> dict[str, dict[str, list[int]]]:
    trials: dict[str, dict[str, list[int]]] = defaultdict(dict)
    opened = gzip.open(path, "rt") if path.endswith(".gz") else open(path)
    with opened as lines:
        for row in csv.DictReader(lines):
            arm = trials[row["clickability_test_id"].strip()].setdefault(row["headline"].strip(), [0, 0])
            arm[0] += int(row["impressions"])
            arm[1] += int(row["clicks"])
    return trials


def in_test(trial: str) -> bool:
    return int.from_bytes(hashlib.sha256(trial.encode()).digest()[:8], "big") % 5 == 0


def peer(trials: dict[str, dict[str, list[int]]], **vectoriser: object) -> float:
    sides: dict[bool, tuple[list[str], list[str], list[int]]] = {False: ([], [], []), True: ([], [], [])}
    for trial, arms in trials.items():
        first, second, won = sides[in_test(trial)]
        for (a, (shown_a, clicked_a)), (b, (shown_b, clicked_b)) in combinations(arms.items(), 2):
            if clicked_a * shown_b != clicked_b * shown_a:
                first.append(a)
                second.append(b)
                won.append(int(clicked_a * shown_b > clicked_b * shown_a))
    model = TfidfVectorizer(min_df=2, sublinear_tf=True, **vectoriser).fit(sides[False][0] + sides[False][1])
    x, test = (model.transform(sides[side][0]) - model.transform(sides[side][1]) for side in (False, True))
    y, truth = np.array(sides[False][2]), np.array(sides[True][2])
    best = 0.0
    for c in CS:
        fitted = LogisticRegression(C=c, fit_intercept=False, max_iter=300)
        fitted.fit(sp.vstack([x, -x]), np.concatenate([y, 1 - y]))
        best = max(best, float(fitted.score(test, truth)))
    return best


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tests", required=True, help="CSV of headline tests")
    arguments.add_argument("--encoder", default=".cache/models/all-minilm-l6-v2.safetensors")
    given = arguments.parse_args()
    command = [GENERATOR, "words", "evaluate", "--tests", given.tests, "--encoder", given.encoder, "--json"]
    ours = json.loads(subprocess.check_output(command))
    trials = read(given.tests)
    characters = peer(trials, analyzer="char_wb", ngram_range=(2, 5))
    words = peer(trials, ngram_range=(1, 2))
    name = f"{ours['pairs']} held-out headline pairs: told right"
    publish("words", [
        Row(name, ours["accuracy"], characters, "scikit-learn, character TF-IDF", "share", "higher", 1.03),
        Row(name, ours["accuracy"], words, "scikit-learn, word TF-IDF", "share", "higher", 1.03),
        Row(f"{name}, longer one", ours["accuracy"], ours["longer_accuracy"], "the longer headline", "share", "higher"),
    ])


if __name__ == "__main__":
    main()
