#!/usr/bin/env bash
# Table 4, Gemma 7B, LoRA all: seed 42. Published (balazy2024): GSM8K 74.90, MATH 31.28.
# GPU hours: the paper prints none.
# Usage: scripts/table4/gemma_7b/lora_all.sh [more words for experiments.run, such as launcher=slurm]
# Finished runs are skipped. PYTHON names the interpreter. Made by `make scripts`; do not edit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
PYTHON="${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}"
exec "$PYTHON" -m experiments.run -m scale=math/paper model=gemma_7b row=lora_all \
    task=metamath seed=42 "$@"
