"""A headless Chromium, led through its debugging pipe."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

# The text of the page, within the roots of its components and its frames too.
_TEXT = """
(() => {
  const texts = [];
  const walk = node => {
    if (node.nodeType == 3) texts.push(node.textContent.trim());
    if (/^(STYLE|SCRIPT|TEMPLATE)$/.test(node.nodeName)) return;
    if (node.shadowRoot) walk(node.shadowRoot);
    if (node.contentDocument) walk(node.contentDocument);
    node.childNodes.forEach(walk);
  };
  walk(document);
  return texts.filter(text => text).join("\\n");
})()
"""


class Browser:
    """A browser with one page; a context that ends it."""

    def __init__(self, program: str, profile: Path):
        to_browser, commands = os.pipe()
        answers, from_browser = os.pipe()

        def pipes() -> None:  # where the browser looks for them
            os.dup2(to_browser, 3 + 100)
            os.dup2(from_browser, 4 + 100)
            os.dup2(103, 3)
            os.dup2(104, 4)

        command = [
            *(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--remote-debugging-pipe", "--window-size=1400,900", f"--user-data-dir={profile}"),
        ]
        null = subprocess.DEVNULL
        self._process = subprocess.Popen(
            command, stdin=null, stdout=null, stderr=null, close_fds=False, preexec_fn=pipes
        )
        os.close(to_browser)
        os.close(from_browser)
        self._commands, self._answers = os.fdopen(commands, "wb", 0), os.fdopen(answers, "rb", 0)
        self._pending = b""
        self._number = 0
        self._session = ""
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *error: Any) -> None:
        self._process.kill()
        self._process.wait()
        self._commands.close()
        self._answers.close()

    def _ask(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._pending:
                piece = self._answers.read(1 << 20)
                if not piece:
                    raise RuntimeError("the browser has ended")
                self._pending += piece
            answer, _, self._pending = self._pending.partition(b"\0")
            reply = json.loads(answer)
            if reply.get("id") == self._number:
                if "error" in reply:
                    raise RuntimeError(f"{method}: {reply['error']}")
                return reply["result"]

    def run(self, script: str) -> Any:
        """The value of a script."""
        result = self._ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return result["result"].get("value")

    def open(self, url: str) -> None:
        """Goes to a page."""
        self._ask("Page.navigate", url="about:blank")
        self._ask("Page.navigate", url=url)

    def text(self) -> str:
        """All text of the page."""
        return str(self.run(_TEXT))

    def wait_for(self, words: list[str], seconds: float = 60) -> str:
        """The page's text, once all of these are in it; after so long, whatever there is."""
        end = time.monotonic() + seconds
        while True:
            text = self.text()
            if all(word in text for word in words) or time.monotonic() > end:
                return text
            time.sleep(0.5)

    def screenshot(self, path: Path) -> None:
        """A picture of the page."""
        data = self._ask("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))
