"""The site: whole, built without a network, fetching nothing when it is read. And what GitHub reads."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pages
import pytest
import yaml

PROJECT, DOCS = pages.PROJECT, pages.DOCS
OFFLINE_PLUGINS = {"search", "mkdocstrings"}
# What a browser fetches of itself: sources, and links that are no plain references.
FETCHED = re.compile(r"""(?:\bsrc|\bsrcset)=["']?(https?:)?//|<link[^>]+href=["']?(?:https?:)?//""")
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:tmp|home|root|work|Users|mnt|opt)/")


class Loader(yaml.SafeLoader):
    """YAML with MkDocs' own tags, which are read as nothing."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: None)


def settings() -> dict[str, Any]:
    found = yaml.load((PROJECT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)
    assert isinstance(found, dict)
    return found


def in_nav(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        for value in entry.values():
            yield from in_nav(value) if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` does; strict, so that a dead link, anchor or reference is an error."""
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {"NO_MKDOCS_2_WARNING": "1", "PATH": str(Path(sys.executable).parent), "NO_COLOR": "1"}
    done = subprocess.run(words, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_in_the_navigation_once() -> None:
    named = list(in_nav(settings()["nav"]))
    assert sorted(named) == sorted(path.name for path in DOCS.glob("*.md"))


def test_build_needs_no_network() -> None:
    """No fonts, no plugin that fetches, no links to a repository that would be asked."""
    found = settings()
    plugins = {next(iter(each)) if isinstance(each, dict) else each for each in found["plugins"]}
    assert found["strict"] and found["theme"]["font"] is False and plugins == OFFLINE_PLUGINS
    assert not {"repo_url", "edit_uri", "extra_javascript"} & found.keys()


def test_pages_fetch_nothing(site: Path) -> None:
    built = list(site.rglob("*.html"))
    assert len(built) > 15
    assert [path.name for path in built if FETCHED.search(path.read_text(encoding="utf-8"))] == []
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert not any(re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", style) for style in styles)


def test_pictures_of_pages_are_there(site: Path) -> None:
    sources = {
        (path, source)
        for path in site.glob("*.html")
        for source in re.findall(r"<img[^>]+src=\"([^\"]+)\"", path.read_text(encoding="utf-8"))
    }
    assert len(sources) >= 6
    assert [source for path, source in sources if not (path.parent / source).is_file()] == []


def test_reference_has_the_whole_library(site: Path) -> None:
    import vblora

    built = (site / "api-vblora.html").read_text(encoding="utf-8")
    lacking = [name for name in vblora.__all__ if f'id="vblora.{name}"' not in built]
    assert [name for name in lacking if f'id="vblora.{name}.{name}"' not in built] == []


def test_page_of_tables_has_every_table() -> None:
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    kept = [name for name in pages.tracked() if re.fullmatch(r"results/(?:.*/tables|rates)/[\w-]+\.md", name)]
    assert len(kept) > 10
    assert [name for name in kept if f'--8<-- "{name}"' not in page] == []


@pytest.mark.parametrize("folder", ["docs/", ".github/", "CHANGELOG.md", "README.md", "mkdocs.yml"])
def test_no_page_names_a_place_of_one_machine(folder: str) -> None:
    texts = [name for name in pages.tracked() if name.startswith(folder) and not name.endswith(".svg")]
    assert texts
    wrong = [name for name in texts if MACHINE_PATH.search((PROJECT / name).read_text(encoding="utf-8"))]
    assert wrong == []


def test_workflow_runs_ci_and_nothing_else() -> None:
    workflow = yaml.safe_load((PROJECT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]


def test_ci_calls_targets_of_make_that_exist() -> None:
    script = (PROJECT / ".ci" / "run").read_text(encoding="utf-8")
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    called = [
        word for line in re.findall(r"^timed make (.+)$", script, re.MULTILINE) for word in line.split()
    ]
    assert called.index("reproduce-glue") < called.index("test")  # as the README has them
    assert {"lint", "types", "docs", "wheel", "env"} < set(called)
    assert set(called) <= targets


@pytest.mark.parametrize("name", ["bug", "wrong_number", "question"])
def test_issue_forms_have_what_github_asks_for(name: str) -> None:
    path = PROJECT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml"
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    ids = [field["id"] for field in fields]
    assert len(set(ids)) == len(ids) and all("label" in field["attributes"] for field in fields)
