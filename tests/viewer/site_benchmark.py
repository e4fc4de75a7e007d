"""How fast a site of 12,000 scenes opens in headless Chromium: `python -m tests.viewer.site_benchmark [--site DIR]`.

Prints seconds from the start of the navigation until list and first scene are shown, those of them that the page's main
thread spent on a processor (the same on a busy machine), the bytes of all files that were asked for a second later, and
how long a filter, another order, a far scroll and the next scene take. No test: it measures.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Dict, List
from urllib.parse import unquote, urlparse

from tests.viewer.browser import Browser
from tests.viewer.synthetic_site import SiteSize, write_synthetic_site

REPEATS = 5
# Until two frames after what it does are on the screen.
TIMED = """(async () => { const begun = performance.now(); await (%s);
await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
return performance.now() - begun; })()"""
ACTIONS = {
    "filter": "(toggleTag('fog'), refresh())",
    "order": "(state.sort = 'EP', state.descending = !state.descending, refresh())",
    "second agent": "(state.b = 1, refresh())",
    "far scroll": "(byId('list').scrollTop = 300000 * Math.random())",
    "next scene": "(step(1), showCard())",
}
TOGGLE = "function toggleTag(tag) { if (!state.tags.delete(tag)) state.tags.add(tag); }"


def measure(page: Path, profile: Path) -> Dict[str, float]:
    """Seconds to open (the median of several), bytes until then, and milliseconds of actions."""
    found: Dict[str, float] = {}
    with Browser(profile) as browser:
        times: List[float] = []
        busy: List[float] = []
        for _ in range(REPEATS):
            browser.send("Page.navigate", url="about:blank")
            browser.events.clear()
            begun = browser.busy()
            times.append(browser.open(page.as_uri()))
            ended = browser.busy()
            busy.append(ended - begun if ended > begun else ended)  # another process begins at 0
        found["opens in, s"], found["slowest of them, s"] = statistics.median(times), max(times)
        found["of the main thread's processor, s"] = statistics.median(busy)
        time.sleep(1.0)
        asked = [Path(unquote(urlparse(url).path)) for url in browser.requested if url.startswith("file:")]
        found["first view, bytes"] = float(sum(path.stat().st_size for path in dict.fromkeys(asked)))
        found["files of it"] = float(len(set(asked)))
        browser.ask(TOGGLE)
        for name, action in ACTIONS.items():
            found[f"{name}, ms"] = statistics.median(browser.ask(TIMED % action) for _ in range(REPEATS))
        found["complaints"] = float(len(browser.complaints))
    return found


def main() -> None:
    """Make the site, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=12_000)
    parser.add_argument("--site", type=Path, help="measure this site instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        site = options.site or Path(folder) / "site"
        if options.site is None:
            begun = time.monotonic()
            size = SiteSize(options.scenes, map_bytes=7000, things=60, photo=(160, 90))
            write_synthetic_site(site, size)
            print(f"{options.scenes} scenes written in {time.monotonic() - begun:.0f} s")
        for name, value in measure(site / "index.html", Path(folder) / "profile").items():
            print(f"{name}: {value:,.3f}" if value < 10 else f"{name}: {value:,.0f}")


if __name__ == "__main__":
    main()
