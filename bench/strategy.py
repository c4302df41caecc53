"""Plans under a budget: how fast they are made for very many people, and what they bring to a simulated shop.

The simulated shop: 20 000 shoppers, 30 days, decided by the product over gRPC and judged by what the shop knows.

Each row's peer is a policy of the shop's own arithmetic: nothing offered, the best single offer for everybody, offers by
chance, and the oracle, which knows every shopper's true response. Profit is the expectation, so luck takes no part;
the evaluator's own measurement stands beside it.

Worlds of other forms are played by the evaluator's library with default settings, on seeds nobody tuned on: people who
respond by rules (kind), heavy-tailed baskets with carry-over and fatigue, late and untracked purchases (harsh). Peers: a
T-learner of boosted trees and the best single offer, on the same seeds.
"""

import json
import subprocess
import sys

from report import Row, publish

SIMULATION = "target/release/simulation"
KNAPSACK = "target/release/knapsack"
WORLDS = "target/release/examples/worlds"
LEAST_SHARE = {"rules": 0.75, "stockpile": 0.4, "late": 0.4}


def knapsack(people: int, channels: int, runs: int = 3) -> dict:
    """The median run by time."""
    command = [KNAPSACK, "--people", str(people), "--channels", str(channels)]
    answers = [json.loads(subprocess.check_output(command)) for _ in range(runs)]
    return sorted(answers, key=lambda answer: answer["seconds"])[runs // 2]


def knapsack_rows() -> list[Row]:
    one, two = knapsack(1_000_000, 0), knapsack(2_000_000, 0)
    several = knapsack(1_000_000, 3, runs=1)
    doubled = "1M people"
    return [
        Row("plan for 1M people × 5 offers: time", one["seconds"], 5.0, "what is asked for", "s", "lower", 1.0),
        Row("plan for 2M people: time", two["seconds"], one["seconds"], doubled, "s", "lower", 2.2),
        Row("plan for 2M people: most memory", two["peak_bytes"], one["peak_bytes"], doubled, "bytes", "lower", 1.1),
        Row("plan for 1M people: gap", one["gap"], 0.001, "the bound asked for", "share", "lower", 1.0),
        Row("plan for 1M people, 3 channels, 5 stocks: time", several["seconds"], 60.0, "what is asked for", "s",
            "lower", 1.0),
        Row("plan for 1M people, 3 channels, 5 stocks: gap", several["gap"], 0.005, "the bound asked for", "share",
            "lower", 1.0),
    ]


def world_rows() -> list[Row]:
    answer = json.loads(subprocess.check_output([WORLDS], text=True).splitlines()[-1])
    seeds = f"seeds {answer['seeds']}, not among the tuning seeds {answer['tuning_seeds']}"
    rows = []
    for world, found in answer["summary"].items():
        product, promises = found["product"], found["promises"]
        least = LEAST_SHARE[world]
        rows += [
            Row(f"{world}: share of the oracle's gain, mean ({seeds})", product["mean"], 1.0, "the oracle's gain",
                "share", "higher", least),
            Row(f"{world}: the same, worst seed", product["worst"], 1.0, "the oracle's gain", "share", "higher", None),
            Row(f"{world}: the same, mean", product["mean"], found["t_learner"]["mean"], "T-learner, boosted trees",
                "share", "higher", 1.0),
            Row(f"{world}: the same, mean", product["mean"], found["best_single"]["mean"], "best single offer",
                "share", "higher", 1.0),
            Row(f"{world}: spent of the budget, mean", found["spent"]["mean"], 1.0, "the budget", "share", "lower", 1.0),
            Row(f"{world}: promises held", promises["held"], promises["plans"], "plans", "plans", "higher", 0.8),
            Row(f"{world}: training, slowest", found["training_s"]["most"], 15.0, "what is asked for", "s", "lower", 1.0),
        ]
    return rows


def main() -> None:
    rows = knapsack_rows() + world_rows()
    score = json.loads(subprocess.check_output([SIMULATION, *sys.argv[1:]]))
    profit = score["profit"]
    gain = profit["product"] - profit["none"]
    publish("strategy", rows + [
        Row("profit_share_of_oracle", score["profit_share_of_oracle"], 1.0, "the oracle's gain over no offers", "share",
            "higher", 0.9),
        Row("profit_share_of_oracle, measured by the evaluator", score["measured_share_of_oracle"], 1.0,
            "the oracle's gain in the same draws", "share", "higher", None),
        Row("profit measured by the evaluator", score["measured_of_booked"], 1.0, "the shop's own book", "share",
            "higher", None),
        Row("profit, beside no offers", profit["product"], profit["none"], "no offers", "cents", "higher", 1.0),
        Row("profit, beside the best single offer", profit["product"], profit["best_single"], "best single offer",
            "cents", "higher", 1.0),
        Row("profit, beside chance", profit["product"], profit["random"], "uniform random", "cents", "higher", 1.0),
        Row("gain over no offers", gain, profit["oracle"] - profit["none"], "oracle", "cents", "higher", None),
        Row("spend", score["spent"], score["budget"], "the budget", "cents", "lower", 1.0),
        Row("a decision, through the gateway: p50", score["decide_ms_p50"], None, "", "ms", "lower"),
        Row("a decision, through the gateway: p99", score["decide_ms_p99"], None, "", "ms", "lower"),
        Row("calibration error", score["calibration_error"], 0.02, "the bound asked for", "probability", "lower", 1.0),
    ])


if __name__ == "__main__":
    main()
