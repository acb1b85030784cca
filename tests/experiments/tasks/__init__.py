"""Tests of `experiments.tasks`; a package, so that files of one name in several folders do not clash."""
