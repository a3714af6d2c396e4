"""A headless Chromium that a test drives: the DevTools protocol over two pipes, nothing else.

Needs Debian's package ``chromium`` (``apt-get install chromium``), or another build of it named by
``$CHROMIUM``.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["Browser", "browser", "find_chromium"]

_KEYS = {
    "ArrowDown": 40,
    "ArrowUp": 38,
    "ArrowLeft": 37,
    "ArrowRight": 39,
    "Enter": 13,
    "Escape": 27,
    "Tab": 9,
    "Home": 36,
    "End": 35,
}


def find_chromium() -> str | None:
    """The program; None if it is not there."""
    named = os.environ.get("CHROMIUM")
    return shutil.which(named) if named else shutil.which("chromium")


class Browser:
    """One page.

    Attributes:
        messages: What it wrote to its console, errors and violations of its policy among them.
        requests: URLs that it asked for.
    """

    def __init__(self, to: int, back: BinaryIO) -> None:
        self._to, self._back = to, back
        self._number = 0
        self._session: str | None = None
        self.messages: list[str] = []
        self.requests: list[str] = []
        self._happened: list[str] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> Any:
        """Calls a method of the protocol, and waits for its answer."""
        self._number += 1
        call: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            call["sessionId"] = self._session
        message = json.dumps(call).encode() + b"\0"
        while message:
            message = message[os.write(self._to, message) :]
        while True:
            said = self._read()
            if said.get("id") == self._number:
                assert "error" not in said, f"{method}: {said['error']}"
                return said["result"]

    def open(self, path: Path, *, width: int, height: int = 900, fragment: str = "") -> None:
        """Loads a page from the disk, in a window of a size, and waits until it is painted."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        self._load("about:blank")  # or another fragment of the same page would load nothing
        self.messages.clear()
        self.requests.clear()
        self._load(f"{path.resolve().as_uri()}{fragment}")
        self.until("document.documentElement.dataset.painted !== undefined")

    def _load(self, url: str) -> None:
        self._happened.clear()
        self.ask("Page.navigate", url=url)
        while "Page.loadEventFired" not in self._happened:
            self._read()

    def run(self, expression: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        found = self.ask(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, condition: str) -> None:
        """Waits, a frame at a time, until an expression is true."""
        self.run(
            "new Promise((done) => { const look = () => "
            f"({condition}) ? done(true) : setTimeout(look, 10); look(); }})"
        )

    def press(self, key: str) -> None:
        """Presses a key, as a human does."""
        code = _KEYS.get(key, ord(key.upper()[0]))
        text = {} if key in _KEYS and key != "Enter" else {"text": "\r" if key == "Enter" else key}
        for kind in ("keyDown", "keyUp"):
            given = text if kind == "keyDown" else {}
            self.ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                windowsVirtualKeyCode=code,
                **given,
            )
        self.run("new Promise((done) => setTimeout(done))")

    def dark(self, wanted: bool) -> None:
        """Has the page think that its reader prefers dark colours, or light ones."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if wanted else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path) -> None:
        """Writes what is seen as a PNG."""
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot")["data"]))

    def _read(self) -> dict[str, Any]:
        buffer = bytearray()
        while (byte := self._back.read(1)) not in (b"\0", b""):
            buffer += byte
        assert buffer, "Chromium ended"
        said: dict[str, Any] = json.loads(buffer)
        if "method" in said:
            self._note(said["method"], said["params"])
        return said

    def _note(self, method: str, given: dict[str, Any]) -> None:
        self._happened.append(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(given["request"]["url"])
        elif method == "Log.entryAdded":
            self.messages.append(given["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.messages.append(json.dumps(given["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.messages.append(" ".join(str(one.get("value")) for one in given["args"]))


def _above_nine(pipe: int) -> int:
    """The same end of a pipe under a number that is in nobody's way."""
    moved = fcntl.fcntl(pipe, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(pipe)
    return moved


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with a profile of its own, which ends with the block.

    Args:
        profile: A folder that it may fill.
    """
    chromium = find_chromium()
    assert chromium is not None
    mine, to = map(_above_nine, os.pipe())
    back, its = map(_above_nine, os.pipe())
    options = [
        "--headless=new",
        "--no-sandbox",  # which root has not; the page is one of ours
        "--disable-gpu",
        "--remote-debugging-pipe",
        "--no-first-run",
        "--disable-background-networking",
        f"--user-data-dir={profile}",
    ]
    process = subprocess.Popen(
        ["bash", "-c", f'exec "$0" "$@" 3<&{mine} 4>&{its}', chromium, *options],
        pass_fds=(mine, its),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    os.close(mine)
    os.close(its)
    pipe = os.fdopen(back, "rb")
    try:
        page = Browser(to, pipe)
        yield page
        with contextlib.suppress(AssertionError, OSError):
            page.ask("Browser.close")
    finally:
        os.close(to)
        process.kill()  # if it has not ended by then; its children end with it
        process.wait()
        pipe.close()
