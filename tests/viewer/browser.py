"""Headless Chromium, driven through a pipe by its own DevTools protocol: no driver and no library in between."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, List, Optional, Type

import pytest

OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
OPTIONS += ["--disable-component-update", "--disable-sync", "--remote-debugging-pipe", "--hide-scrollbars"]
FIRST_FREE = 10  # descriptors above those that the pipe's ends get in the browser
TIMEOUT_S = 180.0  # machines are busy now and then
KEY_CODES = {"Enter": 13, "Escape": 27, " ": 32, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39}


def find_browser() -> str:
    """Its path; skips the test where there is none."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    return browser


class Browser:
    """One page. `complaints`: exceptions, console messages of warning or worse, and failed or refused requests."""

    def __init__(self, profile: Path, width: int = 1440, height: int = 900):
        command = [find_browser(), *OPTIONS, f"--window-size={width},{height}", f"--user-data-dir={profile}"]
        (to_read, self._input), (self._output, to_write) = map(_lift, (os.pipe(), os.pipe()))

        def place() -> None:
            os.dup2(to_read, 3)
            os.dup2(to_write, 4)

        self._process = subprocess.Popen(
            command, preexec_fn=place, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(to_read)
        os.close(to_write)
        self._buffer, self._count, self._session = b"", 0, ""
        self.events: List[Dict[str, Any]] = []
        try:
            target = self.send("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.send(f"{domain}.enable")
            self.send("Performance.enable", timeDomain="threadTicks")
            self.send(
                "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
            )
        except BaseException:
            self.close()
            raise

    @property
    def complaints(self) -> List[str]:
        """In words; empty for a page without fault."""
        found = []
        for event in self.events:
            method, params = event["method"], event["params"]
            if method == "Runtime.exceptionThrown":
                found.append(json.dumps(params["exceptionDetails"])[:600])
            elif method == "Log.entryAdded" and params["entry"]["level"] in ("warning", "error"):
                found.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            elif method == "Runtime.consoleAPICalled" and params["type"] in ("warning", "error", "assert"):
                found.append(json.dumps(params["args"])[:600])
            elif method == "Network.loadingFailed" and not params.get("canceled"):
                found.append(f"loading failed: {params['errorText']}")
        return found

    @property
    def requested(self) -> List[str]:
        """Addresses that the page asked for, in order."""
        sent = [event["params"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [str(params["request"]["url"]) for params in sent]

    def send(self, method: str, **params: Any) -> Dict[str, Any]:
        """The answer to a command; events that come before it are kept."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._input, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read(TIMEOUT_S)
            assert answer is not None, f"{method}: no answer"
            if answer.get("id") == self._count:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: Dict[str, Any] = answer["result"]
                return result
            if "method" in answer:
                self.events.append(answer)

    def _read(self, seconds: float) -> Optional[Dict[str, Any]]:
        end = time.monotonic() + seconds
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._output], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                return None
            part = os.read(self._output, 1 << 16)
            assert part, "the browser has ended"
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: Dict[str, Any] = json.loads(line)
        return message

    def open(self, address: str) -> float:
        """Go there and wait until the page says that it is ready; seconds from the start of the navigation to that."""
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=address)
        self.wait("document.documentElement?.dataset.ready === '1'")
        return float(self.ask("performance.now()")) / 1000.0

    def ask(self, expression: str) -> Any:
        """The value of an expression on the page; promises are awaited."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, f"{expression}: {json.dumps(answer)[:800]}"
        return answer["result"].get("value")

    def wait(self, expression: str, seconds: float = TIMEOUT_S) -> None:
        """Until the expression is true; fails where it stays false."""
        end = time.monotonic() + seconds
        while not self.ask(f"Boolean({expression})"):
            assert time.monotonic() < end, f"still false: {expression}; {self.complaints}"
            time.sleep(0.02)

    def busy(self) -> float:
        """Seconds of a processor that the page's main thread has taken so far, however busy the machine is."""
        metrics = self.send("Performance.getMetrics")["metrics"]
        return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))

    def click(self, selector: str) -> None:
        """With the mouse, in the middle of the first element that matches."""
        where = f"(() => {{ const r = document.querySelector({json.dumps(selector)}).getBoundingClientRect(); "
        x, y = self.ask(where + "return [r.x + r.width / 2, r.y + r.height / 2]; })()")
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """A key, by the name that the page sees."""
        text = {"text": key} if len(key) == 1 else {}
        code = KEY_CODES.get(key, ord(key.upper()) if len(key) == 1 else 0)
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def photograph(self, path: Path) -> None:
        """What is in the window, as a PNG."""
        import base64

        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._input)
        os.close(self._output)


def _lift(ends: Any) -> Any:
    """Both ends of a pipe under numbers that the browser does not need, not inherited."""
    lifted = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE) for end in ends)
    for end in ends:
        os.close(end)
    return lifted
