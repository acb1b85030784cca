import json

import pytest

from experiments import finished


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """A finished sweep of two records; returns its words and records."""
    monkeypatch.chdir(tmp_path)
    records = [tmp_path / f"{seed}.json" for seed in (0, 1)]
    for record in records:
        record.write_text("{}", encoding="utf-8")
    words = ["-m", "seed=0,1", "paths.cache=cache"]
    finished.keep(words, [str(record) for record in records])
    return words, records


# Fails if the words are sorted: of two words for one key the last holds.
def test_a_finished_sweep_is_known_by_its_words_in_their_order(sweep):
    words, _ = sweep
    assert finished.known(words) == 2
    assert finished.known(words[::-1]) is None


@pytest.mark.parametrize("more", ["task=rte", "force=true", "++force=true", "check=true", "+check=true"])
def test_another_command_is_not_known(sweep, more):
    assert finished.known([*sweep[0], more]) is None


def test_a_forced_sweep_leaves_no_note(sweep):
    words, records = sweep
    for word in ("force=true", "++force=true"):
        finished.keep([*words, word], [str(record) for record in records])
    assert len(list((finished.Path("cache") / "finished").iterdir())) == 1


def test_a_single_run_is_never_known(sweep):
    assert finished.known([word for word in sweep[0] if word != "-m"]) is None


def test_a_changed_record_is_seen(sweep):
    sweep[1][0].write_text("{ }", encoding="utf-8")
    assert finished.known(sweep[0]) is None


def test_a_missing_record_is_seen(sweep):
    sweep[1][1].unlink()
    assert finished.known(sweep[0]) is None


def test_changed_code_or_configuration_is_seen(sweep, tmp_path, monkeypatch):
    for folder in ("conf", "experiments"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(finished, "ROOT", tmp_path)
    for name in ("conf/a.yaml", "experiments/a.py"):
        finished.keep(sweep[0], [str(record) for record in sweep[1]])
        assert finished.known(sweep[0]) == 2
        (tmp_path / name).write_text("changed", encoding="utf-8")
        assert finished.known(sweep[0]) is None


@pytest.mark.parametrize("text", ["", "{", json.dumps({}), json.dumps([1])])
def test_a_damaged_note_is_no_note(sweep, text):
    note = next((finished.Path("cache") / "finished").iterdir())
    note.write_text(text, encoding="utf-8")
    assert finished.known(sweep[0]) is None
