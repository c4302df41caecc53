"""The simulated shop: 20 000 shoppers, 30 days, decided by the product over gRPC and judged by what the shop knows.

Each row's peer is a policy of the shop's own arithmetic: nothing offered, the best single offer for everybody, offers by
chance, and the oracle, which knows every shopper's true response. Profit is the expectation, so luck takes no part;
the evaluator's own measurement stands beside it.
"""

import json
import subprocess
import sys

from report import Row, publish

SIMULATION = "target/release/simulation"


def main() -> None:
    score = json.loads(subprocess.check_output([SIMULATION, *sys.argv[1:]]))
    profit = score["profit"]
    gain = profit["product"] - profit["none"]
    publish("strategy", [
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
        Row("calibration error", score["calibration_error"], 0.02, "the bound asked for", "probability", "lower", 1.0),
    ])


if __name__ == "__main__":
    main()
