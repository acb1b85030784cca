#!/usr/bin/env bash
# The rate search of scale minilm, the same for every row and on a seed (100) that no table reports. First four values, a
# factor of about 3 apart, on a quarter of two training sets; then the two best means on the whole of CoLA, six epochs, best
# epoch, as in the table: a rate that learns fastest in few steps can fail in many. What wins there is in conf/tuned.
# The head's rate beside an adapter and beside full fine-tuning is given.
# Records go to .cache/rates and .cache/rates_whole, not to results/. Finished runs are skipped.
# `scripts/minilm_rates.sh launcher=joblib` runs two at a time, then prints the tables; model.path=<folder> data.root=<folder>
# reads folders in place of the hub.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON="${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}"

search() { "$PYTHON" -m experiments.run -m experiment=minilm_rates scale=minilm paths.results=.cache/rates "$@"; }
whole() { search paths.results=.cache/rates_whole task=cola data.train_fraction=1.0 optim.eval_every_epochs=1 "$@"; }

search row=head optim.head_lr=2e-3,6e-3,2e-2,6e-2 "$@"
search row=full optim.full_lr=1e-5,3e-5,1e-4,3e-4 "$@"
search row=lora_qv optim.adapter_lr=3e-4,1e-3,3e-3,1e-2 "$@"
search row=vera_qv optim.adapter_lr=3e-3,1e-2,3e-2,1e-1 "$@"
for factor in 1 3 10 30; do # of the paper's pair of rates
    search row=vblora_qv,vblora_all optim.bank_lr="${factor}e-3" optim.logits_lr="${factor}e-2" "$@"
done
"$PYTHON" -m experiments.rates .cache/rates --scale minilm

whole row=vblora_qv,vblora_all optim.bank_lr=3e-3 optim.logits_lr=3e-2 "$@"
whole row=vblora_qv,vblora_all optim.bank_lr=1e-2 optim.logits_lr=1e-1 "$@"
whole row=lora_qv optim.adapter_lr=1e-3,3e-3 "$@"
whole row=vera_qv optim.adapter_lr=1e-2,3e-2 "$@"
whole row=full optim.full_lr=3e-5,1e-4 "$@"
whole row=head optim.head_lr=2e-2,6e-2 "$@"
"$PYTHON" -m experiments.rates .cache/rates_whole --scale minilm
