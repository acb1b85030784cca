"""A stand-in for the Hugging Face hub: serves the folders of a small world as one model and as GLUE.

It answers what transformers and datasets ask of huggingface.co. A repository has one commit, in `COMMITS`;
another revision than that and main is unknown.
"""

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

MODEL, DATA = "sentence-transformers/all-MiniLM-L6-v2", "nyu-mll/glue"
COMMITS = {MODEL: "a" * 40, DATA: "b" * 40}


def make(folder: Path, world: Path) -> Path:
    """Lay out the repositories of `small_world`'s model and of its CoLA and STS-B, as the hub keeps them."""
    from datasets import ClassLabel, Dataset, Features, Value

    from experiments.data import local

    (folder / MODEL).parent.mkdir(parents=True)
    (folder / MODEL).symlink_to(world / "model")
    configs = []
    for task in ("cola", "stsb"):
        pair = task == "stsb"
        names = ("sentence1", "sentence2", "label") if pair else ("sentence", "label")
        kinds = {name: Value("string") for name in names[:-1]}
        features = Features(kinds | {"label": Value("float32") if pair else ClassLabel(names=["no", "yes"])})
        files = []
        for split, examples in local.glue_splits(task, world / "glue").items():
            rows = [(e.text, e.pair, e.label) if pair else (e.text, e.label) for e in examples]
            columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
            path = folder / DATA / task / f"{split}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            Dataset.from_dict(columns, features=features).to_parquet(path)
            files.append(f"    - {{split: {split}, path: {task}/{split}.parquet}}")
        configs += [f"- config_name: {task}", "  data_files:", *files]
    (folder / DATA / "README.md").write_text("\n".join(["---", "configs:", *configs, "---", ""]))
    return folder


@contextmanager
def serve(folder: Path, home: Path) -> Iterator[dict[str, str]]:
    """Serve while the block runs.

    Yields:
        The environment in which a process asks this hub, and keeps its cache in `home`.
    """
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield environment(f"http://127.0.0.1:{server.server_port}", home)
        server.shutdown()


def environment(endpoint: str, home: Path) -> dict[str, str]:
    """The environment in which a process asks a hub at `endpoint`."""
    online = dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"), "0")
    return {**os.environ, **online, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}


class Hub(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def __init__(self, folder: Path, *args: object) -> None:
        self.folder = folder
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.answer()

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        self.answer(body.get("paths"))

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def answer(self, paths: list[str] | None = None) -> None:
        place = unquote(urlsplit(self.path).path).strip("/")
        name = next((name for name in COMMITS if name in place), None)
        if name is None:
            return self.refuse("RepoNotFound")
        ask, _, rest = place.partition(name)[2].strip("/").partition("/")
        revision, _, rest = rest.partition("/")
        if ask and revision not in ("main", COMMITS[name]):
            return self.refuse("RevisionNotFound")
        files = {
            str(path.relative_to(self.folder / name)): path
            for path in sorted((self.folder / name).rglob("*"))
            if path.is_file()
        }
        if ask == "resolve":
            file = files.get(rest)
            return self.send(file.read_bytes(), name) if file else self.refuse("EntryNotFound")
        entries = [facts(path, file) for path, file in files.items()]
        if ask == "tree":
            inside = [e for e in entries if not rest or str(e["path"]).startswith(f"{rest}/")]
            return self.send(inside, name) if inside else self.refuse("EntryNotFound")
        if ask == "paths-info":
            return self.send([e for e in entries if e["path"] in (paths or ())], name)
        about = {"id": name, "sha": COMMITS[name], "private": False, "tags": [], "downloads": 0, "likes": 0}
        return self.send(about | {"siblings": [{"rfilename": path} for path in files]}, name)

    def send(self, content: object, name: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMITS[name])
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def refuse(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def facts(path: str, file: Path) -> dict[str, object]:
    """What the hub says of a file."""
    data = file.read_bytes()
    return {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
