"""llama.cpp asked once a message, as its server is: the same examples before the same facts, one line out.

In this process and not over HTTP, and with what the prompts begin with kept between messages, so that the peer lacks
nothing its server has.
"""

import argparse
import ctypes
import json
import time
import tomllib
from pathlib import Path

import numpy as np

from llama_cpp import Llama, library

QUALITIES = ["Blue", "Large", "Striped", "Folding", "Soft"]
GOODS = ["ceramic mug", "cotton towel", "wool blanket", "canvas bag", "desk lamp"]
MOST = 64


def prompt(book: dict, item: str) -> str:
    """The generator's own prompt, laid out as ChatML."""
    app = book["channel"]["app"]
    turns = [("system", book["system"])]
    for shot in book["shot"] + app["shots"]:
        turns += [("user", shot["asked"]), ("assistant", shot["answered"])]
    turns.append(("user", f"{app['place']}. Item: {item}"))
    return "".join(f"<|im_start|>{role}\n{said}<|im_end|>\n" for role, said in turns) + "<|im_start|>assistant\n"


def write(llama: Llama, kept: list[int], tokens: list[int]) -> str:
    """One line on a prompt of which `kept` is in the context already."""
    lib, vocabulary = llama.lib, llama.lib.llama_model_get_vocab(llama.model)
    common = 0
    while common < min(len(kept), len(tokens) - 1) and kept[common] == tokens[common]:
        common += 1
    lib.llama_memory_seq_rm(lib.llama_get_memory(llama.context), 0, common, -1)
    rows = [(token, at, 0, at == len(tokens) - 1) for at, token in enumerate(tokens) if at >= common]
    piece, text = ctypes.create_string_buffer(256), b""
    for step in range(MOST):
        logits = []
        for first in range(0, len(rows), llama.chunk):
            logits += llama.decode(rows[first:first + llama.chunk])
        token = int(np.ctypeslib.as_array(logits[-1], shape=(llama.vocabulary,)).argmax())
        if lib.llama_vocab_is_eog(vocabulary, token):
            break
        length = lib.llama_token_to_piece(vocabulary, token, piece, 256, 0, False)
        text += piece.raw[:length]
        if b"\n" in text:
            break
        rows = [(token, len(tokens) + step, 0, True)]
    return text.decode(errors="replace").strip()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--library", type=Path, required=True)
    arguments.add_argument("--model", type=Path, required=True)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--messages", type=int, default=20)
    asked = arguments.parse_args()
    book = tomllib.loads(Path("generator/prompts/en.toml").read_text())
    llama = Llama(library(asked.library), asked.model, asked.threads, sequences=1, length=2048)
    llama.lib.llama_memory_seq_rm.argtypes = [ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32, ctypes.c_int32]
    llama.lib.llama_vocab_is_eog.argtypes = [ctypes.c_void_p, ctypes.c_int32]
    llama.lib.llama_vocab_is_eog.restype = ctypes.c_bool
    llama.lib.llama_token_to_piece.argtypes = [ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p, ctypes.c_int32,
                                               ctypes.c_int32, ctypes.c_bool]
    items = [f"{quality} {goods}" for quality in QUALITIES for goods in GOODS]
    kept = llama.tokens(prompt(book, "Tea"))
    # The first reading of the examples is not counted.
    write(llama, [], kept)
    started, written = time.perf_counter(), []
    for number in range(asked.messages):
        tokens = llama.tokens(prompt(book, items[number % len(items)]))
        written.append(write(llama, kept, tokens))
        kept = tokens
    seconds = time.perf_counter() - started
    print(json.dumps({"messages": len(written), "seconds": seconds, "per_second": len(written) / seconds,
                      "written": written[:3]}, ensure_ascii=False))


if __name__ == "__main__":
    main()
