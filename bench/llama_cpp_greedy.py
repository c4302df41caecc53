"""Records what llama.cpp says greedily, and by how much each token led: generator/tests/data/llama_cpp_greedy.json.

Run by hand when the models or the version change: scripts/bench.sh's environment, then
`python bench/llama_cpp_greedy.py MODELS_FOLDER`.
"""

import json
import sys
from pathlib import Path

import numpy as np

from llama_cpp import NAME, Llama, library

TURN = "<|im_start|>system\nYou write one short line about a product.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
CASES = {
    "smollm2-135m-instruct-q4_1.gguf": [TURN.format("Blue ceramic mug, 350 ml"), TURN.format("A wool blanket for two"),
                                        "The tea garden opens at seven in the morning, and"],
    "qwen2.5-0.5b-instruct-q4_k_m.gguf": [TURN.format("Blue ceramic mug, 350 ml"), TURN.format("纯棉毛巾，三条装"),
                                          "The tea garden opens at seven in the morning, and"],
}
STEPS = 40


def main() -> None:
    models, bins = Path(sys.argv[1]), library(Path(".cache/bench/generator/llama.cpp"))
    answers = []
    for file, prompts in CASES.items():
        llama = Llama(bins, models / file, threads=1, sequences=1, length=512)
        for prompt in prompts:
            llama.clear()
            tokens = llama.tokens(prompt)
            rows = [(token, at, 0, at == len(tokens) - 1) for at, token in enumerate(tokens)]
            said, leads = [], []
            for step in range(STEPS):
                logits = np.ctypeslib.as_array(llama.decode(rows)[0], shape=(llama.vocabulary,))
                second, first = np.sort(logits)[-2:]
                said.append(int(logits.argmax()))
                leads.append(round(float(first - second), 3))
                rows = [(said[-1], len(tokens) + step, 0, True)]
            answers.append({"model": file, "prompt": prompt, "tokens": tokens, "said": said, "leads": leads})
    path = Path("generator/tests/data/llama_cpp_greedy.json")
    path.write_text(json.dumps({"source": NAME, "answers": answers}, ensure_ascii=False, indent=None) + "\n")


if __name__ == "__main__":
    main()
