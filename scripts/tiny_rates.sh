#!/usr/bin/env bash
# The rate search of scale tiny, the same for every row: four values of one rate on six tasks, on the shipped backbone with seed
# 100 and on one that is pretrained here from seed 1 (some minutes) with seed 101; no table reports these seeds. conf/tuned takes
# the smallest within 0.2 of the best mean, as results/rates/tiny.md shows. Beside an adapter the head's rate is 1e-2, the logits'
# 1e-1; beside full fine-tuning the head's is 1e-3.
# Records go to .cache/rates and .cache/rates_other; at the end it prints the mean of every setting.
# Usage: scripts/tiny_rates.sh [more words for experiments.run, such as launcher=joblib]
# About half an hour on two cores with launcher=joblib. Finished runs are skipped. PYTHON names the interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON="${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}"

run() { "$PYTHON" -m experiments.run -m experiment=tiny_rates tracker=none "$@"; }
search() {
  run paths.results=.cache/rates seed=100 "$@"
  run paths.results=.cache/rates_other seed=101 model.pretrain=true model.pretrain_seed=1 "$@"
}

search row=full optim.full_lr=6e-4,1e-3,1.5e-3,2e-3 "$@"
search row=vblora_qv,vblora_all optim.bank_lr=1e-2,2e-2,3e-2,4e-2 "$@"
search row=lora_qv optim.adapter_lr=6e-3,1e-2,1.5e-2,2e-2 "$@"
search row=vera_qv,vera_all optim.adapter_lr=4e-2,6e-2,8e-2,1.2e-1 "$@"
search row=tied_lora_qv,tied_lora_all optim.adapter_lr=1e-2,1.5e-2,2e-2,3e-2 "$@"
search row=head optim.head_lr=3e-3,1e-2,3e-2,1e-1 "$@"
"$PYTHON" -m experiments.rates .cache/rates .cache/rates_other
