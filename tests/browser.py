"""A page of a real browser that draws views: a stand-in for a notebook's front end, told what a kernel would tell."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

from peers import DEADLINE

from rxsocket import JsonRpc, Session
from rxsocket.picture import Frame, Picture
from rxsocket.widget import STATIC

PAGE = """
globalThis.show = async (source, style, kind) => {
  document.head.append(Object.assign(document.createElement("style"), { textContent: style }));
  document.body.style.cssText = "margin: 12px; background: Canvas";
  const el = document.body.appendChild(document.createElement("div"));
  const listeners = {};
  globalThis.sent = [];
  globalThis.faults = [];
  addEventListener("error", (event) => faults.push(event.message));
  const model = {
    get: () => kind,
    on: (name, listener) => (listeners[name] ??= new Set()).add(listener),
    off: (name, listener) => listeners[name].delete(listener),
    send: (content) => sent.push(content),
  };
  globalThis.feed = (frame, buffers) => {
    const views = buffers.map((text) => {
      // As it comes from the network: not from a place that eight bytes could be read from at once.
      const bytes = Uint8Array.from(" " + atob(text), (each) => each.charCodeAt(0));
      return new DataView(bytes.buffer, 1);
    });
    for (const listener of listeners["msg:custom"]) listener(frame, views);
  };
  globalThis.lose = () => listeners["comm_live_update"].forEach((listener) => listener());
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  globalThis.leave = (await import(url)).default.render({ model, el });
};
"""


class Page:
    """A page with one view.

    Args:
        session: To the page's target, over DevTools.
        kind: Of the view.
        dark: Whether the reader likes dark pages.
        width: Of the window, in pixels.
    """

    def __init__(self, session: Session, kind: str, *, dark: bool = False, width: int = 760) -> None:
        self._rpc = JsonRpc(session, version=None)
        self.call("Emulation.setEmulatedMedia", features=[scheme(dark=dark)])
        self.resize(width)
        self.evaluate(f"document.documentElement.style.colorScheme = 'light dark'; {PAGE}")
        texts = [json.dumps((STATIC / name).read_text(encoding="utf-8")) for name in ("view.js", "view.css")]
        self.evaluate(f"show({texts[0]}, {texts[1]}, {json.dumps(kind)})")
        self._number = 0

    def call(self, method: str, **params: object) -> dict[str, Any]:
        return self._rpc.call(method, params, dict[str, Any]).run()

    def resize(self, width: int, height: int = 460, ratio: float = 1) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": ratio, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)

    def evaluate(self, script: str) -> Any:
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def texts(self, selector: str) -> list[str]:
        return self.evaluate(f"[...document.querySelectorAll({json.dumps(selector)})].map((each) => each.textContent)")

    def feed(self, frame: Frame | None, *, whole: bool, note: dict[str, str] | None = None, skipped: int = 0) -> None:
        """Send a frame, as the kernel's side does."""
        assert frame is not None
        content, buffers = frame
        self._number += 1 + skipped
        sent = {"number": self._number, "whole": whole, "note": note, "picture": content}
        self.evaluate(f"feed({json.dumps(sent)}, {json.dumps([base64.b64encode(each).decode() for each in buffers])})")

    def draw(self, picture: Picture, *, whole: bool) -> None:
        """Send what a picture shows, and wait until it is drawn."""
        picture.absorb()
        self.feed(picture.frame(whole=whole), whole=whole)
        self.until(f"sent.at(-1).drawn === {self._number}")

    def until(self, condition: str) -> None:
        """Wait until something is true."""
        end = time.monotonic() + DEADLINE
        while not self.evaluate(f"!!({condition})"):
            assert time.monotonic() < end, f"{condition} is not true; {self.evaluate('[sent, faults]')}"

    def key(self, name: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name)

    def point(self, x: float, y: float) -> None:
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def picture(self, path: Path) -> bytes:
        """Save what the page looks like, and return it."""
        data = base64.b64decode(self.call("Page.captureScreenshot")["data"])
        path.write_bytes(data)
        return data


def scheme(*, dark: bool) -> dict[str, str]:
    return {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
