"""Signals that ask to stop: which are heard, and a terminal that goes away in the middle of a training."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tinylm.commands.signals import StopRequest, terminate, terminations
from tinylm.errors import StoppedError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Those of the command, and afterwards those of before."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, terminate) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_hang_up_is_heard_unless_ignored() -> None:
    """Under nohup a closed terminal ends nothing."""
    assert terminations() == (signal.SIGTERM, signal.SIGHUP)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert terminations() == (signal.SIGTERM,)
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGHUP)
        assert not stop.asked()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_stops_at_once(number: signal.Signals) -> None:
    """The first is a wish, the second unwinds the stack."""
    with pytest.raises(StoppedError, match=f"stopped by {number.name}"), StopRequest() as stop:
        signal.raise_signal(number)
        assert stop.asked()
        signal.raise_signal(number)


@pytest.mark.parametrize("first", [signal.SIGHUP, signal.SIGTERM])
def test_a_hang_up_after_another_signal_leaves_time_to_save(first: signal.Signals) -> None:
    """Terminal, shell and system may each send one when a connection is lost."""
    with StopRequest() as stop:
        signal.raise_signal(first)
        signal.raise_signal(signal.SIGHUP)
    assert stop.asked()
    assert stop.error(Path("runs/x")).exit_code == 128 + signal.SIGHUP


def test_a_training_whose_terminal_is_closed_saves(prepared: Path, tmp_path: Path) -> None:
    """The progress bar has nowhere to go any more, and still there is a checkpoint and a summary."""
    run = tmp_path / "run"
    master, slave = os.openpty()
    words = f"train --config {prepared / 'config.toml'} --set train.steps=100000 --set train.eval_every=0 --out {run}"
    process = subprocess.Popen(
        [sys.executable, "-c", IN_TERMINAL, *words.split(), "--set", "train.save_every=0"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=os.environ | {"TERM": "xterm"},
        start_new_session=True,
    )
    os.close(slave)
    shown, deadline = b"", time.monotonic() + 60
    while b"tokens/s" not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([master], [], [], 0.1)[0]:
            shown += os.read(master, 65536)
    os.close(master)
    assert process.wait(60) == 128 + signal.SIGHUP
    (checkpoint,) = (run / "checkpoints").iterdir()
    assert (checkpoint / "manifest.json").is_file()
    assert '"status": "stopped"' in (run / "summary.json").read_text()


IN_TERMINAL = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from tinylm.cli import main
main()
"""
