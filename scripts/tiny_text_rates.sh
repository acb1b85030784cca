#!/usr/bin/env bash
# Rates of scale tiny for the three families of generated text, on seed 100, which no table reports; for instruction tuning also on a
# backbone that is pretrained here from seed 1, with seed 101. conf/tuned has the best of instruction tuning's means
# (results/rates/tiny.md); for E2E and math it has values chosen by trials, which are among these.
# Records go to .cache/rates_<family>; at the end it prints the score of every setting.
# Usage: scripts/tiny_text_rates.sh [more words for experiments.run, such as launcher=joblib]
# About three quarters of an hour on two cores with launcher=joblib. Finished runs are skipped. PYTHON names the interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON="${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}"

search() { "$PYTHON" -m experiments.run -m "scale=$1/tiny" seed=100 tracker=none "paths.results=.cache/rates_$1" "${@:2}"; }

search e2e row=full optim.full_lr=1e-3,2e-3,4e-3 "$@"
search e2e row=full model=tiny_gpt2_scratch optim.full_lr=2e-3,4e-3,8e-3 "$@"
search e2e row=lora_qv optim.adapter_lr=5e-3,1e-2,2e-2,4e-2 "$@"
search e2e row=vera_qv optim.adapter_lr=3e-2,1e-1,2e-1 "$@"
search e2e row=vblora_all optim.bank_lr=1e-2,2e-2,4e-2 optim.logits_lr=5e-2,1e-1 "$@"

instruct() {
  search instruct "$@"
  search instruct "$@" seed=101 paths.results=.cache/rates_instruct_other model.pretrain=true model.pretrain_seed=1
}
instruct row=full optim.full_lr=5e-4,1e-3,2e-3 "$@"
instruct row=lora_all optim.adapter_lr=2e-3,4e-3,8e-3,1.2e-2 "$@"
instruct row=vera_all optim.adapter_lr=4e-2,8e-2,1.2e-1 "$@"
instruct row=vblora_all optim.bank_lr=1e-2,2e-2,3e-2,4e-2 "$@"

search math row=full optim.full_lr=5e-4,1e-3,2e-3,4e-3 "$@"
search math row=full model=tiny_llama_scratch optim.full_lr=1e-3,3e-3,6e-3 "$@"
search math row=lora_all optim.adapter_lr=3e-3,5e-3,1e-2,2e-2 "$@"
search math row=lora_xs_all optim.adapter_lr=5e-3,1e-2,2e-2,4e-2 "$@"
search math row=vblora_all optim.bank_lr=1e-2,2e-2,4e-2 optim.logits_lr=5e-2,1e-1 "$@"
for family in e2e math; do "$PYTHON" -m experiments.rates ".cache/rates_$family"; done
"$PYTHON" -m experiments.rates .cache/rates_instruct .cache/rates_instruct_other
