"""A real browser without a window, spoken to through a pipe in Chromium's DevTools protocol; no library needed."""

import base64
import json
import math
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tinylm.configs.loader import parse, to_toml, with_settings
from tinylm.configs.run import RunConfig
from tinylm.experiments.leaderboard.board import Board, Entry
from tinylm.experiments.leaderboard.rules import Rules
from tinylm.experiments.results import write_results
from tinylm.experiments.trials import TrialResult

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
ANSWER_SECONDS = 60


class Browser:
    """One tab. `problems` collects what its console complained about, and requests it made over a network."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        command = [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank",
        ]  # fmt: skip
        # Chromium reads from descriptor 3 and writes to descriptor 4
        script = 'exec "$@" 3<&"$BROWSER_IN" 4>&"$BROWSER_OUT"'
        self.process = subprocess.Popen(
            ["bash", "-c", script, "bash", *command],
            pass_fds=(theirs_in, theirs_out),
            env=os.environ | {"BROWSER_IN": str(theirs_in), "BROWSER_OUT": str(theirs_out)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._incoming, self._outgoing = os.fdopen(ours_in, "rb", buffering=0), os.fdopen(ours_out, "wb", buffering=0)
        self._buffer, self._last_id, self._session = b"", 0, None
        self.problems: list[str] = []
        self._loaded = False
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.send("Emulation.setFocusEmulationEnabled", enabled=True)  # keys reach a window that is not in front

    def close(self) -> None:
        """End the browser and its pipes."""
        self.process.terminate()
        self.process.wait(ANSWER_SECONDS)
        self._incoming.close()
        self._outgoing.close()

    def send(self, method: str, **parameters: object) -> dict[str, Any]:
        """Ask and wait for the answer; events that come before it are noted."""
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._outgoing.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._last_id:
                assert "error" not in answer, (method, answer["error"])
                return dict(answer["result"])
            self._note(answer)

    def open(self, page: Path, *, width: int = 1000, height: int = 900, dark: bool = False) -> None:
        """Load a page from disk in a window of some size, and wait until its scripts have run."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", media="", features=[scheme])
        self._loaded = False
        self.send("Page.navigate", url=page.as_uri())
        while not self._loaded:
            self._note(self._receive())

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def point_at(self, x: float, y: float) -> None:
        """Move the mouse there."""
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press(self, key: str) -> None:
        """A key, by its name, on what has the focus; from within the page, since one from without is lost at times."""
        event = f"new KeyboardEvent('keydown', {{key: '{key}', bubbles: true, cancelable: true}})"
        self.evaluate(f"document.activeElement.dispatchEvent({event})")

    def wait_until(self, condition: str) -> bool:
        """Whether a JavaScript condition comes true: input is answered before the page has handled it."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while not self.evaluate(condition):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def screenshot(self, file: Path) -> None:
        """The whole page as PNG."""
        answer = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(answer["data"]))

    def _receive(self) -> dict[str, Any]:
        deadline = time.monotonic() + ANSWER_SECONDS
        while b"\0" not in self._buffer:
            assert time.monotonic() < deadline, "the browser does not answer"
            received = self._incoming.read(1 << 16)
            assert received, "the browser has ended"
            self._buffer += received
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))

    def _note(self, event: dict[str, Any]) -> None:
        match event.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Runtime.exceptionThrown":
                self.problems.append(json.dumps(event["params"]["exceptionDetails"]))
            case "Log.entryAdded" if event["params"]["entry"]["level"] in {"error", "warning"}:
                self.problems.append(event["params"]["entry"]["text"])
            case "Runtime.consoleAPICalled":
                self.problems.append(json.dumps(event["params"]["args"]))
            case "Network.requestWillBeSent" if not event["params"]["request"]["url"].startswith("file:"):
                self.problems.append(f"request: {event['params']['request']['url']}")


@pytest.fixture(scope="session")
def shared_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests; they are skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here; Debian has it as the package chromium")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def browser(shared_browser: Browser) -> Browser:
    """A browser that has not complained about anything."""
    shared_browser.problems.clear()
    return shared_browser


DATA = {
    "data": {"train": "t.npy", "valid": "v.npy", "tokenizer": "tokenizer"},
    "train": {"steps": 200, "batch_size": 2},
}
SAMPLE = "Once upon a time, </script><b>Lily</b> & Tom."


def write_run(path: Path, final: float | None, settings: dict[str, Any]) -> RunConfig:
    """A run directory as a training leaves it, its losses an exponential's; None diverges halfway."""
    config = parse(RunConfig, with_settings(DATA, settings, source="test"), source="test")
    path.mkdir(parents=True)
    (path / "config.toml").write_text(to_toml(config))
    end = final if final is not None else 3.0
    lines = []
    for step in range(1, 101 if final is None else 201):
        loss = end + (9 - end) * math.exp(-step / 20)
        lines.append({"step": step, "loss": loss, "seconds": step / 10, "tokens": step * 512, "fraction": step / 200})
        if step % 50 == 0:
            lines.append({"step": step, "valid_loss": loss})
    if final is None:
        lines.append({"step": 101, "loss": None, "seconds": 10.1, "tokens": 101 * 512, "fraction": 0.5})
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    summary = {
        "status": "done" if final else "diverged",
        "steps": 200,
        "tokens": 102400,
        "valid_loss": final,
        "seconds": 20.0,
    }
    (path / "summary.json").write_text(json.dumps({"schema": 1, **summary}))
    (path / "environment.json").write_text(json.dumps({"torch": "2.13.0", "device": "a processor"}))
    (path / "samples").mkdir()
    (path / "samples" / "step-00000200.txt").write_text(SAMPLE)
    return config


def write_sweep(directory: Path, trials: dict[str, tuple[float | None, dict[str, Any]]]) -> Path:
    """A sweep directory of such runs: by name, the loss and the settings."""
    results = []
    for name, (loss, settings) in trials.items():
        write_run(directory / name, loss, settings)
        perplexity = None if loss is None else math.exp(loss)
        status = "diverged" if loss is None else "done"
        results.append(TrialResult(name, settings, status, loss, perplexity, 102400, 20.0, str(directory / name)))
    write_results(directory, results)
    return directory


def write_board(directory: Path) -> Path:
    """A leaderboard with two such runs."""
    board = Board(directory)
    board.begin(Rules(budget_seconds=100.0, valid_text_sha256="v"))
    for name, loss, verified in (("small", 3.5, True), ("large", 3.7, None)):
        config = write_run(directory.parent / name, loss, {"model.num_layers": 2 if name == "small" else 4})
        board.add(
            Entry(
                name=name, round=None, run=f"../{name}", added="2026-01-01", commit="0123456789", device="a processor",
                config=config.model_dump(), tokenizer="t", checkpoint="step", checkpoint_sha256="c", valid_loss=loss,
                valid_perplexity=math.exp(loss), bits_per_byte=loss / 3, num_parameters=1000, steps=200, tokens=102400,
                seconds=20.0, h100_hours=0.1, tokens_per_second=5000.0, verified=verified,
            ),
            force=False,
        )  # fmt: skip
    return directory


class Written(NamedTuple):
    """One directory of each kind that has a page."""

    run: Path
    rates: Path
    ablations: Path
    grid: Path
    board: Path


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Runs, sweeps and a leaderboard as they are on disk."""
    root = tmp_path_factory.mktemp("written")
    write_run(root / "run", 3.0, {})
    rates = {0.001: 1.38, 0.002: 1.35, 0.003: 1.36, 0.005: 2.29, 0.01: None}
    write_sweep(root / "rates", {f"lr={lr:g}": (loss, {"optim.lr": lr}) for lr, loss in rates.items()})
    ablations = {
        "baseline": (1.35, {}),
        "no-rmsnorm": (None, {"model.norm": "none"}),
        "no-rope": (1.39, {"model.position": "none"}),
    }
    write_sweep(root / "ablations", ablations)
    pairs = [(lr, batch) for lr in (0.001, 0.002) for batch in (2, 4, 8)]
    grid = {
        f"lr={lr:g},batch_size={batch}": (1.5 + 50 * lr / batch, {"optim.lr": lr, "train.batch_size": batch})
        for lr, batch in pairs
    }
    write_sweep(root / "grid", grid)
    return Written(root / "run", root / "rates", root / "ablations", root / "grid", write_board(root / "board"))
