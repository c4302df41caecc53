"""Whether attribution by a Markov chain is right: `evaluator attribute` beside the same chain solved by numpy, and
beside the mean of ChannelAttribution over many seeds.

The chain here is written from the definition and shares no code with ours: a state is the last `order` touches,
credit follows the share of conversions lost when every journey ends unconverted at the channel's door. The peer
defines credit alike (the share of simulated conversions that touched the channel is the same number; it drops steps
from a state to itself, which changes neither where a journey ends nor what it touched), but it simulates. A run with
seed s uses the generators s to s + 9 and keeps the answer of one of them: seeds nearer than ten share their chance,
and often the answer, so those here stand ten apart.
"""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

from report import Row

APART = 10


def exact(table: pd.DataFrame, order: int) -> dict[str, float]:
    """Conversions of each channel, by dense linear algebra."""
    steps, converted, ended = Counter(), Counter(), Counter()
    for path, conversions, nulls in zip(table["path"], table["conversions"], table["nulls"]):
        state = ()
        for touch in path.split(" > "):
            following = (*state, touch)[-order:]
            steps[state, following] += conversions + nulls
            state = following
        converted[state] += conversions
        ended[state] += conversions + nulls
    states = sorted({state for step in steps for state in step})
    place = {state: index for index, state in enumerate(states)}
    moves, conversion = np.zeros((len(states), len(states))), np.zeros(len(states))
    for (before, after), count in steps.items():
        moves[place[before], place[after]] = count
    for state, count in converted.items():
        conversion[place[state]] = count
    left = moves.sum(axis=1) + [ended[state] for state in states]
    moves, conversion = moves / left[:, None], conversion / left

    def probability(kept: np.ndarray) -> float:
        solved = np.linalg.solve(np.eye(kept.sum()) - moves[np.ix_(kept, kept)], conversion[kept])
        return solved[0]  # The start, which remembers nothing, is sorted first.

    all_of_them = probability(np.full(len(states), True))
    channels = sorted({touch for state in states for touch in state})
    lost = {channel: 1 - probability(np.array([channel not in state for state in states])) / all_of_them
            for channel in channels}
    return {channel: table["conversions"].sum() * share / sum(lost.values()) for channel, share in lost.items()}


def rows(table: pd.DataFrame, order: int, ours: dict[str, float], theirs: Callable[[int], dict[str, float]], seeds: int,
         version: str) -> list[Row]:
    solved = exact(table, order)
    channels = sorted(solved)

    def listed(answer: dict[str, float]) -> np.ndarray:
        return np.array([answer[channel] for channel in channels])

    truth, own = listed(solved), listed(ours)
    answers = np.array([listed(theirs(1 + APART * run)) for run in range(seeds)])
    error = answers.std(axis=0, ddof=1) / np.sqrt(seeds)
    chance = stats.t.ppf(1 - 0.01 / (2 * len(channels)), seeds - 1)
    name = f"attribution, {len(table)} journeys, Markov of order {order}"
    return [
        Row(f"{name}: largest distance of a channel from numpy's solution", float((np.abs(own / truth - 1)).max()),
            float(np.abs(answers / truth - 1).max(axis=1).mean()), f"{version}, mean of {seeds} seeds",
            "share of the channel's conversions", "lower", 1e-9),
        Row(f"{name}: largest distance of a channel from the mean of the peer's {seeds} seeds",
            float((np.abs(own - answers.mean(axis=0)) / error).max()), float(chance),
            "what chance exceeds once in 100 times", "standard errors", "lower", 1.0),
    ]
