#!/usr/bin/env bash
# Table 2, GPT-2 large, VeRA qv: 3 seeds. Published (kopiczko2024): BLEU 70.3, NIST 8.85, METEOR 46.9, ROUGE-L 71.6, CIDEr 2.54.
# GPU hours: about 9 (Table 8, VB-LoRA all).
# Usage: scripts/table2/gpt2_large/vera_qv.sh [more words for experiments.run, such as launcher=slurm]
# Finished runs are skipped. PYTHON names the interpreter. Made by `make scripts`; do not edit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
PYTHON="${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}"
exec "$PYTHON" -m experiments.run -m scale=e2e/paper model=gpt2_large row=vera_qv \
    task=e2e seed=0,1,2 "$@"
