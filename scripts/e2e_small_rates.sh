#!/usr/bin/env bash
# Rates of scale e2e-small: a few values for each row on seed 100, which no table reports, with the first 12,800 training examples
# (400 steps), by the log-likelihood of the official development set. The test set has no part in the choice.
# Records go to .cache/rates_e2e_small; at the end it prints the likelihood of every setting.
# Usage: scripts/e2e_small_rates.sh <model folder> <data folder> [more words for experiments.run, such as launcher=joblib]
# About three quarters of an hour of one core. Finished runs are skipped. PYTHON names the interpreter.
set -euo pipefail
model=$(realpath "$1") data=$(realpath "$2"); shift 2
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON="${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}"

search() {
  "$PYTHON" -m experiments.run -m scale=e2e/small seed=100 tracker=none "model.path=$model" "data.root=$data" \
    data.num_train=12800 data.num_test=16 paths.results=.cache/rates_e2e_small "$@"
}

search row=vblora_all optim.bank_lr=3e-3,1e-2 optim.logits_lr=1e-2,3e-2,1e-1 "$@"
search row=lora_qv optim.adapter_lr=1e-3,2e-3,5e-3,1e-2 "$@"
search row=full optim.full_lr=3e-4,1e-3,2e-3 "$@"
search row=vblora_all optim.bank_lr=2e-2 optim.logits_lr=1e-1 "$@"
"$PYTHON" -m experiments.rates .cache/rates_e2e_small --scale e2e-small --held-out
