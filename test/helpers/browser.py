"""A page in, what a headless Chromium sees out: errors of scripts, requests, what overflows, a picture.

Speaks the DevTools protocol over two pipes (--remote-debugging-pipe): no driver and no port are needed.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packages import require_packages

PROGRAM = "chromium-headless-shell"
OPTIONS = (
    "--headless",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--hide-scrollbars",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    "--no-first-run",
)
ANSWER_SECONDS = 60.0
OWN_SCHEMES = ("file:", "data:", "blob:", "about:")

LAYOUT_SCRIPT = (Path(__file__).parent / "page_layout.js").read_text(encoding="utf-8")


@dataclass
class Seen:
    """What a page did."""

    errors: list[str] = field(default_factory=list)  # of scripts, or written to the console as errors
    requests: list[str] = field(default_factory=list)  # of anything outside the page
    layout: list[str] = field(default_factory=list)  # what overflows or is empty


@dataclass(frozen=True)
class TabStop:
    """An element that the tabulator key reached."""

    element: int  # its number among all elements of the page
    html: str
    is_marked: bool  # an outline shows it, or the browser's own player does


STOP_SCRIPT = """(() => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const marked = getComputedStyle(element).outlineStyle !== "none";
    return {element: [...document.querySelectorAll("*")].indexOf(element), html: element.outerHTML.slice(0, 120),
            is_marked: marked || element.tagName === "AUDIO"};
})()"""


class Browser:
    """One running Chromium with one tab."""

    def __init__(self, writer: int, reader: int) -> None:
        self.writer, self.reader = writer, reader
        self.buffer = b""
        self.number = 0
        self.events: list[dict[str, Any]] = []
        self.session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and wait for its answer; what happens meanwhile is kept in `events`."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next(ANSWER_SECONDS)
            if answer.get("id") == self.number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.events.append(answer)

    def _next(self, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.reader], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"Chromium said nothing for {seconds:.0f} s"
            part = os.read(self.reader, 1 << 16)
            assert part, "Chromium has ended"
            self.buffer += part
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def open(self, page: Path, *, width: int, height: int = 900, dark: bool = False, unfold: bool = True) -> Seen:
        """Show a file in a window of that size, then (unfold) with everything unfolded, and tell what happened."""
        self.events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        answer = self.call("Page.navigate", url=page.resolve().as_uri())
        assert "errorText" not in answer, f"{page}: {answer['errorText']}"
        self._wait_for("Page.loadEventFired")
        self.run("document.fonts.ready.then(() => true)")
        seen = Seen()
        if unfold:
            self._unfold(seen)
        for event in self.events:
            self._judge(event, seen)
        return seen

    def _unfold(self, seen: Seen) -> None:
        seen.layout += self.run(LAYOUT_SCRIPT)
        self.run("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
        seen.layout += [text for text in self.run(LAYOUT_SCRIPT) if text not in seen.layout]

    def _wait_for(self, method: str) -> None:
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._next(ANSWER_SECONDS))

    def _judge(self, event: dict[str, Any], seen: Seen) -> None:
        values, method = event.get("params", {}), event.get("method")
        if method == "Runtime.exceptionThrown":
            details = values["exceptionDetails"]
            seen.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded" and values["entry"]["level"] == "error":
            seen.errors.append(f"{values['entry']['text']} {values['entry'].get('url', '')}".strip())
        elif method == "Runtime.consoleAPICalled" and values["type"] in ("error", "assert"):
            seen.errors.append(
                " ".join(str(argument.get("value", argument.get("description"))) for argument in values["args"])
            )
        elif method == "Network.requestWillBeSent":
            url = values["request"]["url"]
            if not url.startswith(OWN_SCHEMES) or (url.startswith("file:") and values.get("type") != "Document"):
                seen.requests.append(url)

    def run(self, script: str) -> Any:
        """The value of a script in the page; waits for promises."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def move_pointer(self, x: float, y: float) -> None:
        """In CSS pixels of the window."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, x: float, y: float) -> None:
        """In CSS pixels of the window."""
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def tab_stops(self, limit: int) -> list[TabStop]:
        """Press the tabulator from the top of the page until it leaves it; at most `limit` times."""
        stops: list[TabStop] = []
        for _ in range(limit):
            for kind in ("keyDown", "keyUp"):
                self.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
            stop = self.run(STOP_SCRIPT)
            if stop is None or (stops and stop["element"] == stops[0].element):
                break
            stops.append(TabStop(**stop))
        return stops

    def screenshot(self, path: Path, *, whole_page: bool = True) -> None:
        """A PNG of the window, or of the page from top to bottom."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole_page)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def chromium() -> Iterator[Browser]:
    """A Chromium that ends with the block.

    Raises:
        SkipTest: it is missing and cannot be installed here.
    """
    require_packages("chromium")
    program = shutil.which(PROGRAM)
    assert program
    to_browser, from_browser = os.pipe(), os.pipe()

    def place_pipes() -> None:
        """Chromium reads from 3 and writes to 4."""
        os.dup2(os.dup(to_browser[0]), 3)
        os.dup2(from_browser[1], 4)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [program, *OPTIONS, f"--user-data-dir={profile}", *(["--no-sandbox"] if os.getuid() == 0 else [])]
        process = subprocess.Popen(
            command, close_fds=False, preexec_fn=place_pipes, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(to_browser[0])
        os.close(from_browser[1])
        try:
            yield Browser(to_browser[1], from_browser[0])
        finally:
            process.terminate()
            process.wait(timeout=30)
            os.close(to_browser[1])
            os.close(from_browser[0])
