"""Running the trials of a sweep: each one `tinylm train` in a process of its own.

A process, because a trial that runs out of memory or crashes must be one failed trial and not the end of the sweep,
because memory is given back for certain between trials, and because several can then run side by side.

All state is on disk, in the form that single runs have: `DIR/NAME/` is the trial's run directory,
`DIR/configs/NAME.toml` its configuration, `DIR/logs/NAME.log` what it said. A trial whose run has ended under this
configuration is never run again; one that was cut short resumes; one that failed is tried again by the next
invocation. A run that another process still writes (the trial of a sweep that was killed) is waited for.
"""

import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tinylm.configs.loader import to_toml
from tinylm.errors import ConfigError, TinylmError
from tinylm.experiments.progress import is_being_written, latest_step
from tinylm.experiments.trials import Trial, TrialResult, shared_problems
from tinylm.files import lock, write_text
from tinylm.training.device import choose_device
from tinylm.training.inputs import load_inputs
from tinylm.training.run_directory import RunDirectory

Status = Literal["waiting", "running", "done", "diverged", "failed"]
POLL_SECONDS = 0.2
DIVERGED_EXIT_CODE = 3


@dataclass(frozen=True, slots=True)
class TrialState:
    """Where a trial is."""

    trial: Trial
    run: Path
    status: Status = "waiting"
    share: float = 0.0
    """Part of the training that is done, 0 to 1."""
    loss: float | None = None
    """Of the latest step."""
    valid_loss: float | None = None
    """At the end, in nats per token; None for a trial that diverged or failed."""
    valid_perplexity: float | None = None
    tokens: int | None = None
    seconds: float | None = None
    message: str = ""
    """Why it failed."""

    @property
    def ended(self) -> bool:
        """Whether nothing remains to be done in this invocation."""
        return self.status in {"done", "diverged", "failed"}

    def result(self) -> TrialResult:
        """The figures that outlive the sweep."""
        return TrialResult(
            name=self.trial.name,
            values=self.trial.values,
            status=self.status,
            valid_loss=self.valid_loss,
            valid_perplexity=self.valid_perplexity,
            tokens=self.tokens,
            seconds=self.seconds,
            run=str(self.run),
            message=self.message,
        )


def check_trials(trials: Sequence[Trial], directory: Path) -> None:
    """Raises: ConfigError with every reason why a trial could not start: its inputs, or another run in its place."""
    problems: dict[str, list[str]] = {}
    checked: dict[tuple[object, ...], str] = {}
    for trial in trials:
        model = trial.config.model
        inputs = (trial.config.data, model.vocab_size, model.context_length, trial.config.train.device)
        if inputs not in checked:
            checked[inputs] = _problem_of_inputs(trial)
        for problem in filter(None, (checked[inputs], _problem_of_place(trial, directory))):
            problems.setdefault(problem, []).append(trial.name)
    if problems:
        raise ConfigError(f"the trials in {directory}", shared_problems(problems, len(trials)))


def _problem_of_inputs(trial: Trial) -> str:
    try:
        choose_device(trial.config.train.device)
        load_inputs(trial.config)
    except TinylmError as error:
        return str(error)
    return ""


def _problem_of_place(trial: Trial, directory: Path) -> str:
    run = RunDirectory(directory / trial.name)
    if run.path.is_file():
        return f"{run.path}: is a file; choose another --out"
    try:
        if run.config_file.is_file():
            run.refuse_other_settings(trial.config)
    except TinylmError as error:
        return str(error)
    return ""


def run_sweep(
    trials: Sequence[Trial], directory: Path, *, jobs: int, environment: Mapping[str, str]
) -> Iterator[tuple[TrialState, ...]]:
    """Run what is left to run, `jobs` trials at a time; yields where all trials are, several times a second.

    The children get `environment` whatever `jobs` is; that it fixes the number of threads is what makes the losses
    independent of `jobs`. When the iterator is closed early, running trials save and stop.

    Raises: TinylmError when another sweep runs in `directory`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with lock(directory / ".lock", f"{directory}: another sweep is running here; wait for it, or choose another --out"):
        pool = _Pool(trials, directory, jobs, environment)
        try:
            while not all(state.ended for state in pool.poll()):
                yield pool.states()
                time.sleep(POLL_SECONDS)
        finally:
            pool.stop()
        yield pool.states()


class _Pool:
    """The children of a sweep and the states of its trials."""

    def __init__(self, trials: Sequence[Trial], directory: Path, jobs: int, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.jobs = jobs
        self.environment = dict(environment)
        self._states = {trial.name: ended_state(TrialState(trial, directory / trial.name)) for trial in trials}
        self._queue = deque(name for name, state in self._states.items() if not state.ended)
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def states(self) -> tuple[TrialState, ...]:
        """Of all trials, in their order."""
        return tuple(self._states.values())

    def poll(self) -> tuple[TrialState, ...]:
        """Notice what ended, start what may start, look how far the others are."""
        for name, child in list(self._children.items()):
            state = self._states[name]
            if child.poll() is None:
                step = latest_step(state.run / "metrics.jsonl")
                if step:
                    self._states[name] = replace(state, share=step["fraction"], loss=step["loss"])
            else:
                del self._children[name]
                self._states[name] = self._outcome(state, child.returncode)
        for _ in range(len(self._queue)):
            if len(self._children) < self.jobs:
                self._start(self._queue.popleft())
        return self.states()

    def stop(self) -> None:
        """Ask the running trials to save and stop, and wait until they have."""
        for child in self._children.values():
            child.terminate()
        for child in self._children.values():
            child.wait()

    def _start(self, name: str) -> None:
        state = self._states[name]
        if is_being_written(state.run):
            self._states[name] = replace(state, status="running")
            self._queue.append(name)
            return
        state = self._states[name] = ended_state(state)
        if state.ended:
            return
        config, log = self.directory / "configs" / f"{name}.toml", self.directory / "logs" / f"{name}.log"
        write_text(config, to_toml(state.trial.config))
        log.parent.mkdir(exist_ok=True)
        command = ["train", "--config", str(config), "--out", str(state.run), "--json", "--quiet"]
        with log.open("wb") as stream:
            self._children[name] = subprocess.Popen(
                [sys.executable, "-m", "tinylm", *command],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C in the terminal reaches the sweep alone, which then stops its trials
            )
        self._states[name] = replace(state, status="running")

    def _outcome(self, state: TrialState, exit_code: int) -> TrialState:
        if exit_code in {0, DIVERGED_EXIT_CODE}:
            return ended_state(state)
        log = self.directory / "logs" / f"{state.trial.name}.log"
        return replace(state, status="failed", message=f"{last_words(log, exit_code)} ({log})")


def ended_state(state: TrialState) -> TrialState:
    """The state with the run's results, when the run on disk has ended under exactly this configuration."""
    run = RunDirectory(state.run)
    summary = run.summary()
    if summary is None or summary["status"] not in {"done", "diverged"} or run.config() != state.trial.config:
        return state
    done = summary["status"] == "done"
    return replace(
        state,
        status=summary["status"],
        share=1.0,
        loss=summary["train_loss"],
        valid_loss=summary["valid_loss"] if done else None,
        valid_perplexity=summary["valid_perplexity"] if done else None,
        tokens=summary["tokens"],
        seconds=summary["seconds"],
    )


def last_words(log: Path, exit_code: int) -> str:
    """Why a child failed, from what it said last."""
    if exit_code < 0:
        return f"killed by signal {-exit_code}"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return lines[-1].removeprefix("error: ") if lines else f"exit code {exit_code}"
