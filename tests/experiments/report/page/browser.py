"""Opens a page in a headless browser, acts in it as a reader would, and says what the reader then sees."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
REPORT = """
<script>window.addEventListener("load", () => {{
  const seen = {{}}, errors = [];
  window.addEventListener("error", (event) => errors.push(event.message));
  const $ = (query) => document.querySelector(query), $$ = (query) => [...document.querySelectorAll(query)];
  try {{ {actions} }} catch (error) {{ errors.push(String(error)); }}
  const out = document.createElement("pre");
  out.id = "seen";
  out.textContent = JSON.stringify({{ ...seen, errors }});
  document.body.append(out);
}});</script>
"""


def seen(page: str, actions: str, folder: Path, *options: str) -> dict[str, Any]:
    """What `actions`, a script that fills the object `seen`, finds in a page; errors of any script too."""
    path = folder / "acted.html"
    path.write_text(page.replace("</body>", REPORT.format(actions=actions) + "</body>"), encoding="utf-8")
    shown = dump(path, *options)
    match = re.search(r'<pre id="seen">(.*?)</pre>', shown, re.DOTALL)
    assert match, shown[-2000:]
    found: dict[str, Any] = json.loads(html.unescape(match[1]))
    assert found["errors"] == []
    return found


def dump(path: Path, *options: str) -> str:
    """The document after its scripts ran."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", *options]
    command = [BROWSER, *flags, "--dump-dom", path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
