"""Tests of `create` against a stand-in for W&B's server: what is sent, what users without one are told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.dashboards import panels
from experiments.families import FAMILIES

from .served import Served, serving

KEY = "0" * 40


def create(
    folder: Path, *words: str, command: str = "create", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Call a command as a user does, with no login but the one given."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("WANDB_")}
    own = kept | {"HOME": str(folder), "NETRC": str(folder / "none"), "WANDB_CONFIG_DIR": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "experiments.dashboards", command, *words],
        env=own | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def created(server: Served, folder: Path, *words: str, command: str = "create") -> list[str]:
    """The lines of a call that succeeds."""
    url = f"http://127.0.0.1:{server.server_port}"
    done = create(folder, *words, command=command, WANDB_BASE_URL=url, WANDB_API_KEY=KEY)
    assert done.returncode == 0, done.stderr
    return done.stdout.replace(url, "URL").splitlines()


def test_workspace_and_report_come_into_the_entity_and_their_urls_are_printed(tmp_path: Path) -> None:
    with serving("mine") as server:
        words = ["--entity", "team", "--project", "mine", "--scale", "small", "--family", "e2e"]
        lines = created(server, tmp_path, *words)
    assert {(view["entityName"], view["projectName"]) for view in server.views.values()} == {("team", "mine")}
    title = "VB-LoRA, E2E, scale e2e-small"
    assert {view["displayName"] for view in server.views.values()} == {title}
    name = server.views["workspace"]["name"].removeprefix("nw-").removesuffix("-v")
    assert lines[0] == f"workspace: URL/team/mine?nw={name}"
    assert lines[1].startswith("report: URL/team/mine/reports/VB-LoRA,-E2E,-scale-e2e-small--id-of-report")
    assert server.projects == ["mine"]


def test_everything_shown_is_sent(tmp_path: Path) -> None:
    with serving("vblora") as server:
        created(server, tmp_path)
    sent = {kind: view["spec"] for kind, view in server.views.items()}
    shown = panels.keys([each for part in panels.sections("glue").values() for each in part])
    for kind, text in sent.items():
        held = text.replace("summary:", "")
        assert [each for each in set().union(*shown) if json.dumps(each) not in held] == [], kind
    assert all(f'"text":"{title}"' in sent["report"] for title in ("SST-2", "STS-B", "Table"))
    assert "tables/table1" in sent["report"]


def test_project_that_is_not_there_is_made_in_the_default_entity(tmp_path: Path) -> None:
    with serving() as server:
        lines = created(server, tmp_path, "--project", "fresh")
    assert server.projects == ["fresh"] and len(lines) == 2
    assert server.views["report"]["entityName"] == "someone"


def test_without_a_login_the_user_is_told_to_log_in(tmp_path: Path) -> None:
    done = create(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "cannot create the dashboards" in line and "`wandb login`" in line and "`make dashboard`" in line


def test_refused_key_is_explained(tmp_path: Path) -> None:
    with serving(allowed=False) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        done = create(tmp_path, WANDB_BASE_URL=url, WANDB_API_KEY=KEY)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "cannot create the dashboards" in last and "`wandb login --relogin`" in last


@pytest.mark.slow  # W&B tries for 20 seconds
def test_server_that_cannot_be_reached_is_explained(tmp_path: Path) -> None:
    done = create(tmp_path, WANDB_BASE_URL="http://127.0.0.1:9", WANDB_API_KEY=KEY)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "http://127.0.0.1:9" in last and "Check the network" in last


def test_without_wandb_workspaces_the_user_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from experiments.dashboards.__main__ import main

    for name in [each for each in sys.modules if each.startswith("experiments.dashboards.")]:
        if name.rpartition(".")[2] in ("creating", "views"):
            monkeypatch.delitem(sys.modules, name)
            monkeypatch.delattr(name, raising=False)
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    assert main(["create"]) == 1
    assert "pip install 'vblora[experiments,dashboards]'" in capsys.readouterr().err


@pytest.mark.parametrize("family", [*FAMILIES])
def test_every_family_has_its_dashboards(family: str, tmp_path: Path) -> None:
    with serving("vblora") as server:
        assert len(created(server, tmp_path, "--family", family)) == 2
