#!/usr/bin/env bash
# Table 3, Llama 2 7B, LoRA all: seed 0. Published (kopiczko2024): MT-Bench 5.19; (li2024): MT-Bench 5.63.
# GPU hours: about 2 (Table 9).
# Usage: scripts/table3/llama2_7b/lora_all.sh data.root=FOLDER [more words for experiments.run, such as launcher=slurm]
# Its answers are rated by a judge model afterwards: make judge.
# Finished runs are skipped. PYTHON names the interpreter. Made by `make scripts`; do not edit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
PYTHON="${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}"
exec "$PYTHON" -m experiments.run -m scale=instruct/paper model=llama2_7b row=lora_all \
    task=alpaca seed=0 "$@"
