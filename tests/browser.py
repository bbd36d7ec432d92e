"""Chromium without a window, driven through its DevTools protocol: a page's messages, requests, picture and answers."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--hide-scrollbars",
    "--no-first-run", "--disable-background-networking", "--disable-dev-shm-usage", "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)  # fmt: skip
PATIENCE = 240  # seconds for one step, on a machine that does other things


class Page:
    """One open page and what has happened on it.

    A browser that does not answer at all skips the test, and every later one at once; what it answers is judged.
    """

    def __init__(self, address: str) -> None:
        import websocket

        self.socket = websocket.create_connection(address, timeout=PATIENCE)
        self.number = 0
        self.loaded = self.silent = False
        self.problems: list[str] = []
        self.fetched: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the result of one command; events that come in between are noted."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._heard())
            if message.get("id") == self.number:
                assert "error" not in message, (method, message["error"])
                return dict(message["result"])
            self._note(message)

    def _heard(self) -> str:
        """Return the next message, or skip the test if there is none."""
        import websocket

        try:
            if not self.silent:
                return str(self.socket.recv())
        except (websocket.WebSocketException, OSError):
            self.silent = True
        pytest.skip(f"the browser said nothing for {PATIENCE} s: too much else runs here")

    def _note(self, message: dict[str, Any]) -> None:
        what, about = message.get("method"), message.get("params", {})
        if what == "Page.loadEventFired":
            self.loaded = True
        elif what == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(about["exceptionDetails"])[:300])
        elif what == "Runtime.consoleAPICalled" and about["type"] in ("error", "assert"):
            self.problems.append(json.dumps(about["args"])[:300])
        elif what == "Log.entryAdded" and about["entry"]["level"] == "error":
            self.problems.append(about["entry"]["text"])
        elif what == "Network.requestWillBeSent":
            address = about["request"]["url"]
            if not address.startswith(("file:", "data:", "blob:", "about:", "devtools:")):
                self.fetched.append(address)

    def open(self, path: Path, width: int = 720, height: int = 560) -> None:
        """Open a file and wait until it has loaded; what was noted before is forgotten."""
        self.resize(width, height)
        self.loaded, self.problems, self.fetched = False, [], []
        self.call("Page.navigate", url=path.as_uri())
        until = time.monotonic() + PATIENCE
        while not self.loaded and time.monotonic() < until:
            self.ask("new Promise(done => setTimeout(done, 50))")
        if not self.loaded:
            self.silent = True
            pytest.skip(f"{path.name} did not load within {PATIENCE} s: too much else runs here")
        self.wait(f"innerWidth === {width}", "the screen has another size")
        self.drawn()

    def drawn(self) -> None:
        """Wait until the browser has drawn two frames."""
        self.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def wait(self, condition: str, problem: str) -> None:
        """Wait until an expression is true; fail with `problem` if the browser answers and it stays false."""
        until = time.monotonic() + PATIENCE
        while not self.ask(condition):
            assert time.monotonic() < until, f"{problem}: {condition}"
            self.drawn()

    def resize(self, width: int, height: int = 560) -> None:
        """Give the page another screen."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def ask(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; a promise is waited for."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release one key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def shot(self, path: Path) -> Image.Image:
        """Return the picture of what is seen, which is kept at `path`."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
        return Image.open(path).convert("RGB")


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """Open chromium with a profile of its own, and close it."""
    assert CHROMIUM
    with subprocess.Popen(
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            page = Page(_address(profile, process))
            yield page
            page.socket.close()
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """Return the address of the first page's socket, once chromium has written its port."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            port = (profile / "DevToolsActivePort").read_text().splitlines()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=10) as answer:
                pages = [each for each in json.load(answer) if each["type"] == "page"]
            if pages:
                return str(pages[0]["webSocketDebuggerUrl"])
        except (OSError, IndexError):
            pass
        time.sleep(0.1)
    ended = "" if process.returncode is None else f" (it ended with {process.returncode})"
    pytest.skip(f"chromium did not start{ended}")
