"""Pure functions from saved answers to scores; nothing here needs torch, a GPU or the model."""
