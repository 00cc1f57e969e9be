"""A run on disk: `config.toml`, `environment.json`, `metrics.jsonl`, `summary.json`, `tokenizer/`, `samples/`,
`checkpoints/`. Everything that `tinylm sample` and a later resume need is inside.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tinylm.configs.loader import flatten, load_run_config, to_toml
from tinylm.configs.run import RunConfig
from tinylm.errors import TinylmError, UsageError
from tinylm.files import lock, read_json, rename_for_good, temporary_name, write_json, write_text
from tinylm.training.checkpoint import checkpoint_name, newest_valid

CHANGEABLE = {
    "train.steps", "train.budget_seconds", "train.budget_h100_hours", "train.eval_every", "train.eval_batches",
    "train.final_eval", "train.save_every", "train.keep_checkpoints", "train.sample_every", "train.sample_prompt",
    "train.log_every", "train.update_ratio_every", "train.compile", "train.device",
    "tracking.wandb", "tracking.project", "data.train", "data.valid", "data.tokenizer",
}  # fmt: skip
"""Keys that a resumed run may set anew; the data's content is checked by the tokenizer's fingerprint instead."""


class RunDirectory:
    """The files of one run. Knows names and formats, not training."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.toml"
        self.metrics_file = self.path / "metrics.jsonl"
        self.summary_file = self.path / "summary.json"
        self.environment_file = self.path / "environment.json"
        self.trace_file = self.path / "trace.json"
        self.wandb_id_file = self.path / "wandb-id.txt"
        self.tokenizer = self.path / "tokenizer"
        self.samples = self.path / "samples"
        self.checkpoints = self.path / "checkpoints"

    @classmethod
    def existing(cls, path: str | Path) -> "RunDirectory":
        """Raises: TinylmError when `path` is not a run."""
        run = cls(path)
        if not run.config_file.is_file():
            raise TinylmError(f"{path}: not a run directory (no config.toml); `tinylm train --out {path}` makes one")
        return run

    @contextlib.contextmanager
    def writer(self) -> Iterator[None]:
        """Be the one writer of this run, where no earlier one has left anything half-written in `checkpoints/`.

        Raises: TinylmError when another process is.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"{self.path}: is a file; choose another --out")
        self.path.mkdir(parents=True, exist_ok=True)
        with lock(
            self.path / ".lock",
            f"{self.path}: another process is writing this run; wait for it, or choose another --out",
        ):
            self._remove_unfinished_checkpoints()
            yield

    def config(self) -> RunConfig:
        """The configuration the run was last started with."""
        return load_run_config(self.config_file)

    def refuse_foreign_files(self) -> None:
        """Raises: UsageError when the directory holds something, but no run."""
        own = (".lock", f".{self.config_file.name}.")  # the latter of a process that was killed at its very start
        if not self.config_file.is_file() and any(not item.name.startswith(own) for item in self.path.iterdir()):
            raise UsageError(f"{self.path}: not empty and not a run; choose another --out")

    def write_config(self, config: RunConfig) -> None:
        """Make `config` this run's."""
        write_text(self.config_file, to_toml(config))

    def retract_summary(self) -> None:
        """Take the summary away for good, before anything that it speaks of changes."""
        if self.summary_file.is_file():
            retracted = temporary_name(self.summary_file)
            rename_for_good(self.summary_file, retracted)
            retracted.unlink()

    def clear(self) -> None:
        """Remove what an earlier run left, but for `config.toml`, without which this would not be a run."""
        for item in (
            self.metrics_file,
            self.summary_file,
            self.environment_file,
            self.trace_file,
            self.wandb_id_file,
        ):
            item.unlink(missing_ok=True)
        for directory in (self.tokenizer, self.samples, self.checkpoints):
            shutil.rmtree(directory, ignore_errors=True)

    def refuse_other_settings(self, config: RunConfig) -> None:
        """Raises: UsageError naming the settings in which `config` would be another run than this one."""
        old, new = flatten(self.config().model_dump()), flatten(config.model_dump())
        changed = [key for key in sorted(old | new) if old.get(key) != new.get(key) and key not in CHANGEABLE]
        if changed:
            differences = "; ".join(f"{key} was {old.get(key)!r}, now {new.get(key)!r}" for key in changed)
            raise UsageError(
                f"{self.path}: started with other settings ({differences}); choose another --out, or --force"
            )

    def newest_checkpoint(self) -> tuple[Path | None, list[str]]:
        """The latest undamaged checkpoint, and what is wrong with each later one."""
        return newest_valid(self.checkpoints)

    def checkpoint(self, step: int) -> Path:
        """Where the checkpoint after `step` belongs."""
        return self.checkpoints / checkpoint_name(step)

    def prune_checkpoints(self, newest: int, keep: int) -> None:
        """Keep the checkpoint after step `newest`, just saved, and those before it, `keep` in all.

        Later ones are damaged, for otherwise the run would have gone on from there.
        """
        paths = sorted(self.checkpoints.glob("step-*"))
        last = paths.index(self.checkpoint(newest))
        for path in (*paths[: max(0, last + 1 - keep)], *paths[last + 1 :]):
            shutil.rmtree(path)

    def _remove_unfinished_checkpoints(self) -> None:
        """What killed processes left; of one that died while it replaced a checkpoint, the earlier one comes back."""
        for old in self.checkpoints.glob(".step-*.old"):
            replaced = old.with_name(old.name.split(".")[1])
            if not replaced.exists():
                old.rename(replaced)
        for path in self.checkpoints.glob(".step-*"):
            shutil.rmtree(path)

    def write_sample(self, step: int, text: str) -> None:
        """Keep a sample made during training."""
        write_text(self.samples / f"{checkpoint_name(step)}.txt", text + "\n")

    def write_summary(self, values: Mapping[str, Any]) -> None:
        """Replace `summary.json`."""
        write_json(self.summary_file, {"schema": 1, **values})

    def summary(self) -> dict[str, Any] | None:
        """What the run came to, or None when it has not ended."""
        return dict(read_json(self.summary_file)) if self.summary_file.is_file() else None

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`; a last line that a kill cut short is left out."""
        if not self.metrics_file.is_file():
            return []
        records = []
        for line in self.metrics_file.read_text().splitlines():
            with contextlib.suppress(ValueError):
                records.append(json.loads(line))
        return records

    def rewind_metrics(self, step: int) -> None:
        """Drop what was logged after `step`: a resumed run will log it again."""
        kept = [record for record in self.metrics() if record["step"] <= step]
        write_text(self.metrics_file, "".join(json.dumps(record) + "\n" for record in kept))
