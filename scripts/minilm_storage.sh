#!/usr/bin/env bash
# What storing costs, on a real encoder and real tasks: VB-LoRA's rows of scale minilm leave their adapters, and on all layers
# two further kinds of run learn selections only, against a bank that does not train: STS-B's, trained by the run of the same
# seed (variant stsb_bank), and one of random vectors (variant random_bank), which tells what the trained one is worth.
# Then `experiments.precision` stores every adapter in 32, 16 and 8 bits and asks each for its answers again.
# Records and adapters go to .cache/storage, not to results/. Finished runs are skipped.
# `scripts/minilm_storage.sh model.path=<folder> data.root=<folder> launcher=joblib` runs two at a time: two hours on two cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON="${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}"
WHERE="paths.results=.cache/storage/runs paths.adapters=.cache/storage/adapters"

run() { "$PYTHON" -m experiments.run -m scale=minilm $WHERE "$@"; }

run row=vblora_all task=stsb,cola,mrpc seed=0,1,2 "$@"
for seed in 0 1 2; do
    bank=".cache/storage/adapters/minilm/glue/stsb/minilm/vblora-all/seed$seed"
    run row=vblora_all task=cola,mrpc seed="$seed" variant=stsb_bank \
        method.options.bank="$bank" method.options.train_bank=false "$@"
done
run row=vblora_all task=cola,mrpc seed=0,1,2 variant=random_bank optim.bank_lr=0 "$@"
run row=vblora_qv task=stsb,cola,mrpc seed=0,1,2 "$@"
