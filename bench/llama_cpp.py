"""llama.cpp as a peer: its own shared library, prebuilt in node-llama-cpp's package, called through its C interface.

The library picks the kernels for this processor (AVX-512, AMX) by itself. Only the fields at the start of its context
parameters are set here; they are checked against the defaults the library documents before they are believed.
"""

import argparse
import ctypes
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np

VERSION = "3.22.0"
PACKAGE = "@node-llama-cpp/linux-x64"
SHA256 = "de78712aa0bf0d5ede67fc6825597dcfee41c5ce6658e5cec278d5299f93b830"
NAME = f"llama.cpp v0.5.0 (npm {PACKAGE} {VERSION})"


def library(folder: Path) -> Path:
    """The folder of the libraries, brought by npm once and verified."""
    bins = folder / "package" / "bins" / "linux-x64"
    if not (bins / "libllama.v0.5.0.so").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
        archive = next(folder.glob("*.tgz")).read_bytes()
        found = hashlib.sha256(archive).hexdigest()
        if found != SHA256:
            sys.exit(f"{PACKAGE} {VERSION} has the SHA-256 {found} instead of {SHA256}")
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
    return bins


class Batch(ctypes.Structure):
    """llama_batch."""

    _fields_ = [
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("embd", ctypes.c_void_p),
        ("pos", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    ]


class Blob(ctypes.Structure):
    """Parameters passed by value: larger than any version's, of which the library reads the start."""

    _fields_ = [("words", ctypes.c_int32 * 256)]


class Llama:
    """A model with a context for `sequences` of `length` tokens each."""

    def __init__(self, bins: Path, model: Path, threads: int, sequences: int, length: int, chunk: int = 512):
        ctypes.CDLL(str(bins / "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
        ggml = ctypes.CDLL(str(bins / "libggml.v0.5.0.so"), mode=ctypes.RTLD_GLOBAL)
        ggml.ggml_backend_load_all_from_path.argtypes = [ctypes.c_char_p]
        ggml.ggml_backend_load_all_from_path(str(bins).encode())
        lib = self.lib = ctypes.CDLL(str(bins / "libllama.v0.5.0.so"))
        quiet = self.quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
        lib.llama_log_set(quiet, None)
        pointer = ctypes.c_void_p
        lib.llama_model_default_params.restype = lib.llama_context_default_params.restype = Blob
        lib.llama_model_load_from_file.restype, lib.llama_model_load_from_file.argtypes = pointer, [ctypes.c_char_p, Blob]
        lib.llama_init_from_model.restype, lib.llama_init_from_model.argtypes = pointer, [pointer, Blob]
        lib.llama_batch_init.restype, lib.llama_batch_init.argtypes = Batch, [ctypes.c_int32] * 3
        lib.llama_decode.argtypes = [pointer, Batch]
        lib.llama_get_logits_ith.restype = ctypes.POINTER(ctypes.c_float)
        lib.llama_get_logits_ith.argtypes = [pointer, ctypes.c_int32]
        lib.llama_get_memory.restype, lib.llama_get_memory.argtypes = pointer, [pointer]
        lib.llama_memory_clear.argtypes = [pointer, ctypes.c_bool]
        lib.llama_model_get_vocab.restype, lib.llama_model_get_vocab.argtypes = pointer, [pointer]
        lib.llama_vocab_n_tokens.argtypes = [pointer]
        lib.llama_tokenize.argtypes = [pointer, ctypes.c_char_p, ctypes.c_int32, ctypes.POINTER(ctypes.c_int32),
                                       ctypes.c_int32, ctypes.c_bool, ctypes.c_bool]
        lib.llama_backend_init()
        started = time.perf_counter()
        self.model = lib.llama_model_load_from_file(str(model).encode(), lib.llama_model_default_params())
        if not self.model:
            sys.exit(f"llama.cpp cannot load {model}")
        parameters = lib.llama_context_default_params()
        if list(parameters.words[:9]) != [512, 2048, 512, 1, 0, 0, 1, 4, 4]:
            sys.exit(f"unknown context parameters: {list(parameters.words[:9])}")
        parameters.words[0] = sequences * length  # n_ctx
        parameters.words[1] = parameters.words[2] = chunk  # n_batch, n_ubatch
        parameters.words[3] = sequences  # n_seq_max
        parameters.words[7] = parameters.words[8] = threads  # n_threads, n_threads_batch
        self.context = lib.llama_init_from_model(self.model, parameters)
        if not self.context:
            sys.exit("llama.cpp makes no context")
        self.load_seconds = time.perf_counter() - started
        self.vocabulary = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(self.model))
        self.chunk = chunk
        self.batch = lib.llama_batch_init(max(chunk, sequences), 0, 1)

    def clear(self) -> None:
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self.context), True)

    def tokens(self, text: str, special: bool = True) -> list[int]:
        data, room = text.encode(), len(text.encode()) + 8
        out = (ctypes.c_int32 * room)()
        vocabulary = self.lib.llama_model_get_vocab(self.model)
        count = self.lib.llama_tokenize(vocabulary, data, len(data), out, room, special, True)
        return list(out[:count])

    def decode(self, rows: list[tuple[int, int, int, bool]]) -> list[ctypes.POINTER]:
        """Takes rows of (token, position, sequence, logits wanted) in; the logits of those that want them."""
        batch = self.batch
        batch.n_tokens = len(rows)
        for at, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[at], batch.pos[at], batch.n_seq_id[at] = token, position, 1
            batch.seq_id[at][0], batch.logits[at] = sequence, wanted
        if self.lib.llama_decode(self.context, batch) != 0:
            sys.exit("llama.cpp cannot decode")
        return [self.lib.llama_get_logits_ith(self.context, at) for at, row in enumerate(rows) if row[3]]


def argmax(logits, count: int) -> int:
    return int(np.ctypeslib.as_array(logits, shape=(count,)).argmax())


def memory(name: str) -> int:
    """A line of what Linux reports of this process's memory, bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def run(llama: Llama, words: list[int], batch: int, prompt: int, output: int) -> dict:
    """The same work as `generator bench`: `batch` prompts that begin differently, then greedy answers."""
    llama.clear()
    prompts = [[words[(at + skip) % len(words)] for at in range(prompt)] for skip in range(batch)]
    rows = [(token, at, sequence, at == prompt - 1)
            for sequence, tokens in enumerate(prompts) for at, token in enumerate(tokens)]
    started = time.perf_counter()
    said = []
    for first in range(0, len(rows), llama.chunk):
        said += [argmax(logits, llama.vocabulary) for logits in llama.decode(rows[first:first + llama.chunk])]
    prefill = time.perf_counter() - started
    started = time.perf_counter()
    for step in range(output):
        logits = llama.decode([(token, prompt + step, sequence, True) for sequence, token in enumerate(said)])
        said = [argmax(row, llama.vocabulary) for row in logits]
    decode = time.perf_counter() - started
    read, written = batch * prompt, batch * output
    return {"batch": batch, "prefill_tokens_per_second": read / prefill, "decode_tokens_per_second": written / decode,
            "total_tokens_per_second": (read + written) / (prefill + decode), "first_token_seconds": prefill}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--library", type=Path, required=True)
    arguments.add_argument("--model", type=Path, required=True)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--prompt", type=int, default=128)
    arguments.add_argument("--output", type=int, default=64)
    arguments.add_argument("--batches", default="1,4,8")
    arguments.add_argument("--runs", type=int, default=1)
    asked = arguments.parse_args()
    batches = [int(batch) for batch in asked.batches.split(",")]
    llama = Llama(library(asked.library), asked.model, asked.threads, max(batches), asked.prompt + asked.output + 1)
    words = llama.tokens("The shop at the corner sells cups, tea and honey. Its owner, a baker once, knows every street. ")
    speeds = []
    for batch in batches:
        runs = [run(llama, words, batch, asked.prompt, asked.output) for _ in range(asked.runs)]
        speeds.append(max(runs, key=lambda speed: speed["total_tokens_per_second"]))
    print(json.dumps({"load_seconds": llama.load_seconds, "speeds": speeds, "peak_bytes": memory("VmHWM:")}))


if __name__ == "__main__":
    main()
