"""A stand-in for W&B's server: answers what the dashboards ask it, and keeps what they send."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

VIEWER = {
    **{"id": "1", "entity": "someone", "username": "someone", "name": "someone", "email": ""},
    **{"flags": "{}", "teams": {"edges": []}, "admin": False},
}
WHEN = "2024-01-01T00:00:00"
TITLES = {"project-view": "workspace", "runs": "report"}


class Served(ThreadingHTTPServer):
    """Holds the projects that exist, the views that were sent, by kind, and the sweeps."""

    def __init__(self, projects: tuple[str, ...], allowed: bool) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.projects, self.allowed = list(projects), allowed
        self.views: dict[str, dict[str, Any]] = {}
        self.sweeps: list[dict[str, Any]] = []

    def answer(self, query: str, given: dict[str, Any]) -> dict[str, Any]:
        """The data of one GraphQL request."""
        if "upsertSweep" in query:
            self.sweeps.append(given)
            project = {
                "id": "1",
                "name": given["projectName"],
                "entity": {"id": "1", "name": given["entityName"]},
            }
            return {
                "upsertSweep": {"sweep": {"name": "s1", "project": project}, "configValidationWarnings": []}
            }
        if "upsertView" in query:
            self.views[TITLES[given["type"]]] = given
            project = {"id": "1", "name": given["projectName"], "entityName": given["entityName"]}
            view = {key: given[key] for key in ("type", "name", "displayName", "description", "spec")}
            view |= {"id": f"id-of-{TITLES[given['type']]}", "project": project, "updatedAt": WHEN}
            return {"upsertView": {"view": view, "inserted": True}}
        if "upsertModel" in query:
            self.projects.append(given["input"]["name"])
            return {"upsertModel": {"project": None, "model": None, "inserted": True}}
        if "internalId" in query:
            known = given["projectName"] in self.projects
            return {"project": {"id": "1", "internalId": "7"} if known else None}
        if "models(" in query:
            last = {"hasNextPage": False, "endCursor": None}
            return {"models": {"pageInfo": last, "edges": self._edges(given["entity"])}}
        return {"viewer": VIEWER}

    def _edges(self, entity: str) -> list[dict[str, Any]]:
        about = {"entityName": entity, "isBenchmark": False, "createdAt": WHEN, "user": None}
        return [{"node": {"id": name, "name": name} | about, "cursor": ""} for name in self.projects]


class Handler(BaseHTTPRequestHandler):
    """Answers GraphQL; W&B's own telemetry is taken and forgotten."""

    server: Served

    def do_POST(self) -> None:
        """One request."""
        content = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.path != "/graphql":
            return self.reply(200, {})
        if not self.server.allowed:
            return self.reply(401, {"errors": [{"message": "user is not logged in"}]})
        asked = json.loads(content)
        self.reply(200, {"data": self.server.answer(asked["query"], asked.get("variables") or {})})

    def reply(self, status: int, content: dict[str, Any]) -> None:
        """Send JSON."""
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""


@contextmanager
def serving(*projects: str, allowed: bool = True) -> Iterator[Served]:
    """A server that knows some projects and takes any key, or none."""
    server = Served(projects, allowed)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
