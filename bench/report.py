"""What every bench hands back: one row a comparison, a table for people and target/bench/NAME.json for programs."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass
class Row:
    """One figure of ours beside a peer's of the same run; `goal` bounds the ratio ours ÷ peer."""

    name: str
    ours: float
    peer: float | None
    peer_name: str
    unit: str
    better: str
    goal: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.peer if self.peer else None

    def verdict(self) -> str:
        if self.goal is None or self.ratio is None:
            return ""
        met = self.ratio <= self.goal if self.better == "lower" else self.ratio >= self.goal
        return "met" if met else "missed"


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def publish(name: str, rows: list[Row], folder: Path = Path("target/bench")) -> None:
    """Prints the table and writes the rows."""
    folder.mkdir(parents=True, exist_ok=True)
    records = [asdict(row) | {"ratio": row.ratio} for row in rows]
    (folder / f"{name}.json").write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n")
    lines = [("", "ours", "peer", "", "ratio", "goal", "", "")]
    for row in rows:
        bound = "" if row.goal is None else f"{'≤' if row.better == 'lower' else '≥'} {row.goal:g}"
        lines.append((row.name, number(row.ours), number(row.peer), row.unit, number(row.ratio), bound,
                      row.verdict(), row.peer_name))
    widths = [max(len(line[column]) for line in lines) for column in range(8)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
