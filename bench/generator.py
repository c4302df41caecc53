"""The engine beside llama.cpp: the same file, the same number of threads, in turns within one run.

Speeds are the best of a few rounds on both sides, for other programs may use the machine. Prompts of 128 tokens that
begin differently, greedy answers of 64. The physical limit is how fast the weights alone can be read, and how many
tokens a second of one sequence that would be.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import llama_cpp
from report import Row, publish

GENERATOR = "target/release/generator"
MESSAGES = "target/release/message_load"
LIBRARY = Path(".cache/bench/generator/llama.cpp")
MODELS = Path(os.environ.get("BESPOKE_MODELS", ".cache/models"))
FILES = {"Qwen2.5 0.5B": "qwen2.5-0.5b-instruct-q4_k_m.gguf", "SmolLM2 135M": "smollm2-135m-instruct-q4_1.gguf"}


def best(rounds: list[dict]) -> dict[int, dict]:
    """The best figure of each kind and batch."""
    found: dict[int, dict] = {}
    for speed in (speed for round in rounds for speed in round["speeds"]):
        kept = found.setdefault(speed["batch"], dict(speed))
        for kind in ("prefill_tokens_per_second", "decode_tokens_per_second", "total_tokens_per_second"):
            kept[kind] = max(kept[kind], speed[kind])
        kept["first_token_seconds"] = min(kept["first_token_seconds"], speed["first_token_seconds"])
    return found


def engine(name: str, file: Path, threads: int, rounds: int) -> list[Row]:
    plan = ["--model", str(file), "--threads", str(threads), "--prompt", "128", "--output", "64", "--batches", "1,4,8"]
    llama_cpp.library(LIBRARY)
    ours, theirs = [], []
    # The first start converts the weights and keeps them; what is measured is every later one.
    subprocess.run([GENERATOR, "bench", *plan[:4], "--prompt", "1", "--output", "1", "--batches", "1", "--json"],
                   check=True, stdout=subprocess.DEVNULL)
    for _ in range(rounds):
        ours.append(json.loads(subprocess.check_output([GENERATOR, "bench", *plan, "--json"])))
        peer = [sys.executable, llama_cpp.__file__, "--library", str(LIBRARY), *plan]
        theirs.append(json.loads(subprocess.check_output(peer, stderr=subprocess.DEVNULL)))
    we, they = best(ours), best(theirs)
    head = f"{name}, {threads} thread{'s' if threads > 1 else ''}"

    def row(what: str, batch: int, kind: str, unit: str, better: str, goal: float | None) -> Row:
        return Row(f"{head}: {what}", we[batch][kind], they[batch][kind], llama_cpp.NAME, unit, better, goal)

    rows = []
    for batch in (1, 4, 8):
        rows.append(row(f"prefill, batch {batch}", batch, "prefill_tokens_per_second", "tokens/s", "higher", 1.3))
        goal = 2.0 if batch == 8 else 1.0
        rows.append(row(f"decode, batch {batch}", batch, "decode_tokens_per_second", "tokens/s", "higher", goal))
    rows.append(row("time to first token", 1, "first_token_seconds", "s", "lower", 1 / 1.3))
    last, peer = ours[-1], theirs[-1]
    rows += [
        Row(f"{head}: load", min(run["load_seconds"] for run in ours), min(run["load_seconds"] for run in theirs),
            llama_cpp.NAME, "s", "lower"),
        Row(f"{head}: load beside the 1.5 s it may take", min(run["load_seconds"] for run in ours), 1.5,
            "the goal", "s", "lower", 1.0),
        Row(f"{head}: most memory", last["peak_bytes"], peer["peak_bytes"], llama_cpp.NAME, "bytes", "lower"),
        Row(f"{head}: most memory beside steady", last["peak_bytes"], last["steady_bytes"], "steady", "bytes", "lower", 1.2),
        Row(f"{head}: decode beside the physical limit", we[1]["decode_tokens_per_second"],
            max(run["limit_tokens_per_second"] for run in ours),
            f"{last['weight_bytes'] / 1e6:.0f} MB of weights at "
            f"{max(run['read_bytes_per_second'] for run in ours) / 1e9:.1f} GB/s", "tokens/s", "higher"),
    ]
    return rows


def messages(name: str, file: Path, threads: int, sample: int) -> list[Row]:
    """1 000 shoppers told of 50 items each; the peer writes a sample of the messages, one by one."""
    told = json.loads(subprocess.check_output(
        [MESSAGES, "--models", str(file.parent), "--file", file.name, "--threads", str(threads)]))
    peer = json.loads(subprocess.check_output(
        [sys.executable, str(Path(__file__).with_name("llama_cpp_messages.py")), "--library", str(LIBRARY),
         "--model", str(file), "--threads", str(threads), "--messages", str(sample)], stderr=subprocess.DEVNULL))
    rows = []
    for state, goal in (("warm", 20.0), ("cold", None)):
        passed = told[state]
        share = (passed["kept"] + passed["by_model"]) / passed["messages"]
        head = f"{name}, {threads} thread{'s' if threads > 1 else ''}: {passed['messages']} messages {state}"
        rows.append(Row(head, passed["per_second"], peer["per_second"],
                        f"{llama_cpp.NAME}, once a message, {sample} of them", "1/s", "higher", goal))
        rows.append(Row(f"{head}, share written by the model", share, None, "", "", "higher"))
    return rows


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--models", nargs="+", default=list(FILES), choices=list(FILES))
    arguments.add_argument("--only", choices=["engine", "messages"])
    arguments.add_argument("--sample", type=int, default=20, help="messages the peer writes")
    asked = arguments.parse_args()
    rows = []
    if asked.only != "engine":
        rows += messages("Qwen2.5 0.5B", MODELS / FILES["Qwen2.5 0.5B"], 1, asked.sample)
    for name in asked.models if asked.only != "messages" else []:
        for threads in asked.threads:
            rows += engine(name, MODELS / FILES[name], threads, asked.rounds)
    publish("generator", rows)


if __name__ == "__main__":
    main()
