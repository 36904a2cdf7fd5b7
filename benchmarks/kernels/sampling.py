"""sample under top-k and top-p, and with neither.

python benchmarks/kernels/sampling.py [--device cuda] [--rounds 15]
"""

from __future__ import annotations

import torch
from providers import implementations, normal, options, tell


def main() -> None:
    asked = options(__doc__)
    rows, vocabulary = (4, 100) if asked.small else (64, 128256) if asked.device == "cuda" else (16, 49152)
    logits = normal(asked, rows, vocabulary)
    points = torch.rand(rows, device=asked.device)
    for top_k, top_p in ((0, 1.0), (50, 1.0), (0, 0.95), (50, 0.95)):
        values = [torch.full((rows,), value, device=asked.device) for value in (0.8, top_k, top_p, 0.0)]
        calls = implementations("sampling", asked, lambda module, values=values: module.sample(logits, points, *values))
        shape = {"rows": rows, "vocabulary": vocabulary, "top_k": top_k}
        tell(f"sample top_p={top_p}", "forward", shape, calls, asked, bytes=logits.nbytes)


if __name__ == "__main__":
    main()
