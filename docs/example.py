"""Pictures the first screen of docs/example-report.html, as the README shows it.

`make example` measures, writes that report, and runs this. A report that names this machine or a
path of it is refused.
"""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

_DOCS = Path(__file__).resolve().parent
_REPORT = _DOCS / "example-report.html"
_PICTURE = _DOCS / "report-example.png"


def main() -> None:
    """Look at the report, and take its picture."""
    text = _REPORT.read_text(encoding="utf-8")
    private = (platform.node(), str(_DOCS.parent), str(Path.home()))
    if found := [name for name in private if len(name) > 3 and name in text]:
        sys.exit(f"{_REPORT.name} names {', '.join(found)}: it is not to be published")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
        page.goto(_REPORT.as_uri())
        page.screenshot(path=_PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
