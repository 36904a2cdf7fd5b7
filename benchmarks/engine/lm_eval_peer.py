"""The peer of `whole_runs.py`: answers requests with lm-eval's `hf` or `vllm` model in fp32. Prints one JSON line.

python benchmarks/engine/lm_eval_peer.py REQUESTS.json CHECKPOINT BATCH hf|vllm
"""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    path, checkpoint, batch, kind = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        requests = json.load(file)
    from lm_eval.api.instance import Instance

    if kind == "hf":
        from lm_eval.models.huggingface import HFLM

        model = HFLM(pretrained=checkpoint, dtype="float32", device="cpu", batch_size=int(batch))
    else:
        from lm_eval.models.vllm_causallms import VLLM

        model = VLLM(
            pretrained=checkpoint,
            dtype="float32",
            batch_size="auto",
            max_model_len=4096,
            enable_prefix_caching=True,
            enforce_eager=True,
        )
    scored = "continuation" in requests[0]
    instances = [
        Instance(
            request_type="loglikelihood" if scored else "generate_until",
            doc={},
            arguments=(request["context"], request["continuation"])
            if scored
            else (request["context"], {key: request[key] for key in ("until", "max_gen_toks")} | {"do_sample": False}),
            idx=number,
        )
        for number, request in enumerate(requests)
    ]
    began = time.perf_counter()
    if scored:
        answers = [total for total, _ in model.loglikelihood(instances, disable_tqdm=True)]
    else:
        answers = model.generate_until(instances, disable_tqdm=True)
    print(json.dumps({"inside": time.perf_counter() - began, "answers": answers}))


if __name__ == "__main__":
    main()
