"""Copy for real catalogues by `generator write`, judged by a checker of its own (copywriting_checker.py).

Unsupported numbers, banned words and over-length copy must be none, or the bench fails. The peer, where there is one,
is the text a person wrote for the same goods: AdvertiseGen's, cut to the channel's length.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import copywriting_briefs as catalogues
import copywriting_checker as checker
from report import Row, publish

GENERATOR = os.environ.get("BESPOKE_GENERATOR", "target/release/generator")


def written(briefs: list[dict], settings: list[str], seed: int) -> tuple[list[dict], float]:
    """The generator's answers, a brief each, and the seconds it took."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "briefs.jsonl"
        file.write_text("".join(json.dumps(brief, ensure_ascii=False) + "\n" for brief in briefs), encoding="utf-8")
        command = [GENERATOR, "write", "--briefs", file, "--seed", str(seed), "--json"]
        for setting in settings:
            command += ["--set", setting]
        started = time.perf_counter()
        answers = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        return [json.loads(line) for line in answers.splitlines()], time.perf_counter() - started


def judge(name: str, briefs: list[dict], answers: list[dict], seconds: float, human: list[str] | None) -> tuple[list[Row], list[str]]:
    locale, faults, pairs, told, facts, templates = briefs[0]["locale"], Counter(), [], 0, 0, Counter()
    complaints, by_model = [], 0
    for brief, answer in zip(briefs, answers, strict=True):
        copy = answer["copies"][0]
        text = "\n".join(copy.get(part, "") for part in ("headline", "body", "call_to_action"))
        found = {
            "unsupported numbers": checker.unsupported(brief, text),
            "banned words": checker.forbidden(brief, text),
            "over length": ["too long"] if checker.too_long(brief, copy.get("headline", ""), copy.get("body", "")) else [],
        }
        for fault, words in found.items():
            faults[fault] += len(words)
            complaints += [f"{fault}: {words}: {text!r}"] if words else []
        if copy["source"] == "COPY_SOURCE_TEMPLATE":
            templates.update(cause["cause"] for cause in answer.get("degradations", []))
            continue
        by_model += 1
        pairs += checker.grams(text, locale)
        some, all_ = checker.covered(brief, text)
        told, facts = told + some, facts + all_
    rows = [Row(f"{name}: {fault}", faults[fault], None, "", "", "lower") for fault in found]
    rows.append(Row(f"{name}: written by the model", by_model / len(briefs), 1.0, "every copy", "share", "higher", 0.9))
    peer_pairs, peer_told, peer_facts = [], 0, 0
    for brief, text in zip(briefs, human or []):
        # A person was given room we are not: both are judged by the same length.
        text = text[:checker.LIMITS[brief["channel"].removeprefix("CHANNEL_"), locale][1]]
        peer_pairs += checker.grams(text, locale)
        some, all_ = checker.covered(brief, text)
        peer_told, peer_facts = peer_told + some, peer_facts + all_
    who = "human copy, cut to length" if human else ""
    distinct = lambda pairs: len(set(pairs)) / max(len(pairs), 1)
    rows.append(Row(f"{name}: distinct-2", distinct(pairs), distinct(peer_pairs) if human else None, who, "share", "higher"))
    rows.append(Row(f"{name}: facts covered", told / max(facts, 1), peer_told / peer_facts if human else None, who, "share", "higher"))
    rows.append(Row(f"{name}: seconds a message", seconds / len(briefs), None, "", "s", "lower"))
    print(f"{name}: templates by cause {dict(templates)}")
    return rows, complaints


def show(name: str, briefs: list[dict], answers: list[dict], most: int, seed: int) -> None:
    print(f"\n{name}: {most} at random, good and bad alike")
    for index in sorted(random.Random(seed).sample(range(len(briefs)), min(most, len(briefs)))):
        copy, brief = answers[index]["copies"][0], briefs[index]
        source = copy["source"].removeprefix("COPY_SOURCE_").lower()
        print(f"  [{brief['channel'].removeprefix('CHANNEL_')}, {source}] {brief['item']['title']}")
        print("      " + " | ".join(copy.get(part, "") for part in ("headline", "body", "call_to_action")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--advertisegen", type=Path, default=os.environ.get("BESPOKE_ADVERTISEGEN"), help="advertisegen.jsonl")
    parser.add_argument("--wish", type=Path, default=os.environ.get("BESPOKE_WISH"), help="wish_products.csv")
    parser.add_argument("--briefs", type=int, nargs=2, default=[535, 500], metavar=("ZH", "EN"), help="how many of each")
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], help="a setting of the generator")
    parser.add_argument("--output", type=Path, help="where briefs and answers are kept, a line each")
    arguments = parser.parse_args()
    if not arguments.advertisegen or not arguments.wish:
        parser.error("--advertisegen FILE and --wish FILE name the catalogues")
    chinese, human = catalogues.advertisegen(arguments.advertisegen, arguments.briefs[0])
    english = catalogues.wish(arguments.wish, arguments.briefs[1])
    settings = arguments.set + [f"model.folder={os.environ.get('BESPOKE_MODELS', '.cache/models')}"]
    rows, complaints = [], []
    for name, briefs, people in (("AdvertiseGen zh", chinese, human), ("Wish en", english, None)):
        if not briefs:
            continue
        answers, seconds = written(briefs, settings, arguments.seed)
        if arguments.output:
            with arguments.output.open("a", encoding="utf-8") as kept:
                kept.writelines(json.dumps({"brief": b, "answer": a}, ensure_ascii=False) + "\n" for b, a in zip(briefs, answers))
        judged, found = judge(name, briefs, answers, seconds, people)
        rows, complaints = rows + judged, complaints + found
        show(name, briefs, answers, arguments.samples, arguments.seed)
    print()
    publish("copywriting", rows)
    if complaints:
        print("\n".join(complaints))
        sys.exit("copy that must not leave: see above")


if __name__ == "__main__":
    main()
