"""A headless Chromium, spoken to over pipes (Chrome DevTools Protocol): no driver, and no port is opened."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_SECONDS = 120


def find_chromium() -> str | None:
    """The program; None where there is none."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


class Page:
    """One page of a browser; what it logs and asks for is kept."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read, self._waiting = write, read, b""
        self._count = 0
        self._session: str | None = None
        self.requests: list[str] = []
        self.complaints: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.send(f"{domain}.enable")

    def open(self, path: Path, *, width: int, height: int = 900) -> None:
        """Show a file in a window of that width, px."""
        self.resize(width, height)
        self.requests.clear()
        self.send("Page.navigate", url=path.as_uri())
        self.wait(f"location.href === {path.as_uri()!r} && document.readyState === 'complete'")

    def resize(self, width: int, height: int = 900) -> None:
        """Let the window have that width, px."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.send("Emulation.setDeviceMetricsOverride", **metrics)

    def value(self, expression: str) -> Any:
        """What an expression (or its promise) gives in the page."""
        found = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, expression: str) -> Any:
        """The value of an expression once it is true."""
        end = time.monotonic() + _SECONDS
        while not (value := self.value(expression)):
            assert time.monotonic() < end, f"{expression} did not come true; {self.complaints}"
            select.select([self._read], [], [], 0.05)
        return value

    def choose_file(self, selector: str, path: Path) -> None:
        """Give a file input a file."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def screenshot(self, path: Path) -> None:
        """Write what is seen as PNG."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask the browser for something; gives its answer."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._waiting:
            ready, _, _ = select.select([self._read], [], [], _SECONDS)
            assert ready, "the browser does not answer"
            content = os.read(self._read, 1 << 20)
            assert content, "the browser has ended"
            self._waiting += content
        text, _, self._waiting = self._waiting.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"])[:500])
        elif event.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(params["entry"]["text"])
        elif event.get("method") == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.complaints.append(json.dumps(params["args"])[:500])


@contextmanager
def chromium(folder: Path, *more: str) -> Iterator[Page]:
    """A page of a browser that keeps what it keeps in a folder; `more` are flags of its."""
    program = find_chromium()
    assert program is not None
    own_read, its_write = os.pipe()
    its_read, own_write = os.pipe()
    flags = [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
        "--disable-background-networking", f"--user-data-dir={folder}", "--remote-debugging-pipe",
        "--disable-component-update", "--hide-scrollbars",
    ]  # fmt: skip
    # It reads from descriptor 3 and writes to 4.
    script = f'exec 3<&{its_read} 4>&{its_write}; exec "$@"'
    with subprocess.Popen(
        ["bash", "-c", script, "chromium", program, *flags, *more],
        pass_fds=(its_read, its_write),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(its_read)
        os.close(its_write)
        try:
            yield Page(own_write, own_read)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
            os.close(own_read)
            os.close(own_write)
