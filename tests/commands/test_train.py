"""`tinylm train`: exit codes, stdout, files; resume to the same bits after any interruption."""

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
import safetensors.numpy
from filelock import FileLock
from typer.testing import Result

Invoke = Callable[..., Result]
Spawn = Callable[..., Popen[str]]

JSON_KEYS = {
    "schema", "steps", "tokens", "train_loss", "valid_loss", "valid_perplexity", "bits_per_byte", "seconds",
    "tokens_per_second", "mfu", "run", "status", "h100_hours", "budget_seconds", "budget_h100_hours",
    "valid_tokens", "evaluation_seconds", "memory_bytes", "last_valid_loss",
}  # fmt: skip


def weights(run: Path, step: int) -> bytes:
    """The model's bytes on disk after a step."""
    return (run / "checkpoints" / f"step-{step:08d}" / "model.safetensors").read_bytes()


def metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_run_leaves_the_files_of_the_format(invoke: Invoke, prepared: Path, tmp_path: Path) -> None:
    """One object on stdout with the documented keys, and a run directory with the documented files."""
    run = tmp_path / "run"
    result = invoke("train", "--config", prepared / "config.toml", "--out", run, "--json")
    assert result.exit_code == 0, result.stderr
    values = json.loads(result.stdout)
    assert values.keys() == JSON_KEYS
    assert (values["steps"], values["tokens"], values["status"]) == (12, 12 * 4 * 16, "done")
    names = {item.name for item in run.iterdir()}
    assert names >= {
        "config.toml",
        "environment.json",
        "metrics.jsonl",
        "summary.json",
        "tokenizer",
        "learning-curve.png",
    }
    assert json.loads((run / "summary.json").read_text()) == values
    lines = metrics(run)
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 13))
    assert [line["step"] for line in lines if "valid_loss" in line] == [6, 12]
    assert lines[0].keys() == {
        "step",
        "loss",
        "lr",
        "grad_norm",
        "tokens",
        "seconds",
        "tokens_per_second",
        "fraction",
        "data_seconds",
        "memory_bytes",
        "update_ratio",
    }
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step-00000010", "step-00000012"]


def test_loss_falls(invoke: Invoke, prepared: Path, tmp_path: Path) -> None:
    """Sixty steps on a tiny language bring the loss well below a uniform guess's, ln 300 = 5.7."""
    overrides = ["--set", "train.steps=60", "--set", "train.batch_size=8"]
    result = invoke("train", "--config", prepared / "config.toml", *overrides, "--out", tmp_path / "run", "--json")
    assert json.loads(result.stdout)["valid_loss"] < 3.5


def test_human_result_is_on_stdout_and_notes_on_stderr(invoke: Invoke, prepared: Path, tmp_path: Path) -> None:
    """A person sees status, losses, a curve and what to do next; --quiet leaves stderr empty."""
    result = invoke("train", "--config", prepared / "config.toml", "--out", tmp_path / "run", "--quiet")
    assert result.stdout.startswith("done: 12 steps")
    assert "tinylm sample" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_curve_is_drawn_with_what_stdout_can_show(
    encoding: str, spawn: Spawn, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where stdout has no Braille, a training ends with a curve of other characters, and not with a traceback."""
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    process = spawn("train", "--config", prepared / "config.toml", "--out", tmp_path / "run")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.isascii()
    assert "** training, smoothed  o validation" in out


def test_complete_run_is_reported_again(invoke: Invoke, prepared: Path, tmp_path: Path) -> None:
    """The same command on a finished run repeats its result and trains nothing."""
    command = ["train", "--config", prepared / "config.toml", "--out", tmp_path / "run", "--json"]
    first, before = invoke(*command), weights(tmp_path / "run", 12)
    again = invoke(*command)
    assert again.exit_code == 0
    assert json.loads(again.stdout) == json.loads(first.stdout)
    assert weights(tmp_path / "run", 12) == before


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # the compiler's own
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("kind", ["adamw", "muon", "normuon"])
def test_resume_gives_the_same_bits(kind: str, device: str, invoke: Invoke, prepared: Path, tmp_path: Path) -> None:
    """30 steps in one go, and 10 steps then 20 more, end in byte-identical weights and the same logged losses."""
    common = [
        "train",
        "--config",
        prepared / "config.toml",
        "--set",
        f"optim.kind={kind}",
        "--set",
        "train.save_every=10",
    ]
    common += ["--set", "schedule.kind=constant", "--set", "train.keep_checkpoints=5"]
    common += ["--set", f"train.device={device}", "--set", f"train.compile={'on' if device == 'cuda' else 'off'}"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert invoke(*common, "--set", "train.steps=30", "--out", whole).exit_code == 0
    assert invoke(*common, "--set", "train.steps=10", "--out", parts).exit_code == 0
    assert invoke(*common, "--set", "train.steps=30", "--out", parts).exit_code == 0
    assert weights(whole, 30) == weights(parts, 30)
    optimizer = "checkpoints/step-00000030/optimizer.safetensors"
    assert (whole / optimizer).read_bytes() == (parts / optimizer).read_bytes()
    one = [(line["step"], line["loss"]) for line in metrics(whole) if "loss" in line]
    assert one == [(line["step"], line["loss"]) for line in metrics(parts) if "loss" in line]


def test_killed_run_goes_on_to_the_same_bits(invoke: Invoke, spawn: Spawn, prepared: Path, tmp_path: Path) -> None:
    """SIGKILL between two checkpoints loses nothing: the rerun ends in the weights of an undisturbed run."""
    command = [
        "train",
        "--config",
        prepared / "config.toml",
        "--set",
        "train.steps=400",
        "--set",
        "train.save_every=20",
    ]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = spawn(*command, "--out", killed)
    wait_for(lambda: (killed / "checkpoints" / "step-00000020").exists(), process)
    process.kill()
    process.communicate()
    assert not (killed / "summary.json").exists()
    assert invoke(*command, "--out", killed).exit_code == 0
    assert invoke(*command, "--out", whole).exit_code == 0
    assert weights(killed, 400) == weights(whole, 400)
    steps = [line["step"] for line in metrics(killed) if "loss" in line]
    assert steps == list(range(1, 401))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_signal_saves_then_stops(number: int, code: int, spawn: Spawn, prepared: Path, tmp_path: Path) -> None:
    """Each of them ends the run after the step, with a checkpoint, exit code 128 + signal and no traceback."""
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("ignored here, as nohup has it")
    run = tmp_path / "run"
    long = ["--set", "train.steps=100000", "--set", "train.save_every=0", "--set", "train.eval_every=0"]
    process = spawn("train", "--config", prepared / "config.toml", *long, "--out", run, "--json")
    wait_for(lambda: (run / "metrics.jsonl").exists() and len(metrics_so_far(run)) > 3, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert json.loads(out)["status"] == "stopped"
    assert "run the same command to go on" in err
    assert "Traceback" not in err
    (checkpoint,) = (run / "checkpoints").iterdir()
    assert int(checkpoint.name.removeprefix("step-")) == json.loads(out)["steps"]


def metrics_so_far(run: Path) -> list[str]:
    """Lines of metrics.jsonl, the last perhaps half-written."""
    return (run / "metrics.jsonl").read_text().splitlines()


def wait_for(condition: Callable[[], bool], process: Popen[str]) -> None:
    """Poll until `condition` holds, failing with the process's own words when it ends before."""
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("save_every", "words"), [(1, "the last good checkpoint is kept"), (0, "no checkpoint was due yet")]
)
def test_divergence_is_exit_code_3_and_keeps_the_last_good_checkpoint(
    save_every: int, words: str, invoke: Invoke, prepared: Path, tmp_path: Path
) -> None:
    """A run whose loss explodes stops as `diverged`; the checkpoint from before still holds finite weights."""
    run = tmp_path / "run"
    absurd = ["--set", "optim.kind=sgd", "--set", "optim.lr=1e30", "--set", "schedule.min_lr=1e30"]
    absurd += [
        "--set",
        "optim.max_grad_norm=0",
        "--set",
        f"train.save_every={save_every}",
        "--set",
        "schedule.warmup_steps=0",
    ]
    result = invoke("train", "--config", prepared / "config.toml", *absurd, "--out", run, "--json")
    assert result.exit_code == 3, result.output
    values = json.loads(result.stdout)
    assert values["status"] == "diverged"
    assert "learning rate" in result.stderr
    assert words in result.stderr
    assert (run / "checkpoints").exists() == bool(save_every)
    for checkpoint in (run / "checkpoints").glob("*"):
        tensors = safetensors.numpy.load_file(checkpoint / "model.safetensors")
        assert tensors
    again = invoke("train", "--config", prepared / "config.toml", *absurd, "--out", run, "--json")
    assert again.exit_code == 3, again.output


@pytest.mark.parametrize("flag", ["--no-rope", "--no-rmsnorm", "--post-norm", "--ffn-silu", "--weight-tying"])
def test_ablation_trains_or_diverges(flag: str, invoke: Invoke, prepared: Path, tmp_path: Path) -> None:
    """Each of the write-up's ablations is one flag; it ends done, or is reported as diverged."""
    result = invoke(
        "train",
        "--config",
        prepared / "config.toml",
        flag,
        "--set",
        "train.steps=50",
        "--out",
        tmp_path / "run",
        "--json",
    )
    status = json.loads(result.stdout)["status"]
    assert (result.exit_code, status) in {(0, "done"), (3, "diverged")}


@pytest.mark.parametrize(
    ("flag", "line"),
    [
        ("--no-rope", 'position = "none"'),
        ("--no-rmsnorm", 'norm = "none"'),
        ("--post-norm", 'norm_placement = "post"'),
        ("--ffn-silu", 'feed_forward = "silu"'),
        ("--weight-tying", "tie_embeddings = true"),
    ],
)
def test_flag_is_shorthand_for_one_set(flag: str, line: str, invoke: Invoke, prepared: Path) -> None:
    """--print-config shows what a flag stands for."""
    plain = invoke("train", "--config", prepared / "config.toml", "--print-config").stdout.splitlines()
    with_flag = invoke("train", "--config", prepared / "config.toml", flag, "--print-config").stdout.splitlines()
    assert [new for old, new in zip(plain, with_flag, strict=True) if old != new] == [line]


def test_dry_run_writes_nothing(invoke: Invoke, prepared: Path, tmp_path: Path) -> None:
    """--dry-run checks the inputs, prints the cost and leaves the disk alone."""
    run = tmp_path / "run"
    result = invoke("train", "--config", prepared / "config.toml", "--out", run, "--dry-run", "--json")
    assert result.exit_code == 0, result.stderr
    values = json.loads(result.stdout)
    assert values["parameters"] == 2 * 300 * 32 + 2 * (4 * 32 * 32 + 3 * 32 * 64 + 2 * 32) + 32
    assert not run.exists()


def test_other_settings_are_refused(invoke: Invoke, prepared: Path, tmp_path: Path) -> None:
    """A run cannot be resumed with different mathematics; the message names the key and both values."""
    command = ["train", "--config", prepared / "config.toml", "--out", tmp_path / "run"]
    assert invoke(*command).exit_code == 0
    result = invoke(*command, "--set", "optim.lr=0.5")
    assert result.exit_code == 2
    assert "optim.lr was 0.01, now 0.5" in result.stderr
    assert invoke(*command, "--set", "optim.lr=0.5", "--force").exit_code == 0


def test_run_in_use_is_refused(invoke: Invoke, prepared: Path, tmp_path: Path) -> None:
    """A second writer of a run directory is told so."""
    run = tmp_path / "run"
    run.mkdir()
    with FileLock(run / ".lock"):
        result = invoke("train", "--config", prepared / "config.toml", "--out", run)
    assert result.exit_code == 1
    assert "another process is writing this run" in result.stderr


def test_foreign_directory_is_left_alone(invoke: Invoke, prepared: Path, tmp_path: Path) -> None:
    """A directory that holds something else is not taken over, not even with --force."""
    (tmp_path / "thesis.tex").write_text("years of work")
    for extra in ([], ["--force"]):
        result = invoke("train", "--config", prepared / "config.toml", "--out", tmp_path, *extra)
        assert result.exit_code == 2
        assert "not empty and not a run" in result.stderr


def test_tokens_of_another_tokenizer_are_refused(invoke: Invoke, prepared: Path, tmp_path: Path) -> None:
    """Token files and tokenizer must belong together."""
    other = tmp_path / "other"
    made = invoke("train-bpe", prepared / "valid.txt", "--vocab-size", "270", "--out", other)
    assert made.exit_code == 0, made.output
    command = [
        "train",
        "--config",
        prepared / "config.toml",
        "--set",
        f"data.tokenizer={other}",
        "--out",
        tmp_path / "r",
    ]
    result = invoke(*command)
    assert result.exit_code in {1, 2}
    assert "another tokenizer" in result.stderr
    assert not (tmp_path / "r").exists()


def test_vocabulary_larger_than_the_model_is_refused(invoke: Invoke, prepared: Path, tmp_path: Path) -> None:
    """A model with fewer rows than the tokenizer has tokens is refused with the fix."""
    command = [
        "train",
        "--config",
        prepared / "config.toml",
        "--set",
        "model.vocab_size=257",
        "--out",
        tmp_path / "run",
    ]
    result = invoke(*command)
    assert result.exit_code == 2
    assert "--set model.vocab_size=" in result.stderr


def test_damaged_newest_checkpoint_is_skipped(invoke: Invoke, prepared: Path, tmp_path: Path) -> None:
    """Resuming names a damaged checkpoint and goes on from the one before, to the same bits."""
    command = ["train", "--config", prepared / "config.toml", "--set", "train.save_every=4", "--out"]
    whole, damaged = tmp_path / "whole", tmp_path / "damaged"
    assert invoke(*command, whole).exit_code == 0
    shutil.copytree(whole, damaged)
    (damaged / "summary.json").unlink()
    (damaged / "checkpoints" / "step-00000012" / "model.safetensors").write_bytes(b"torn")
    result = invoke(*command, damaged)
    assert result.exit_code == 0, result.output
    assert "skipped a damaged checkpoint" in result.stderr
    assert weights(damaged, 12) == weights(whole, 12)


@pytest.mark.slow
def test_wandb_offline_leaves_its_files(spawn: Spawn, prepared: Path, tmp_path: Path) -> None:
    """tracking.wandb = offline writes a real wandb run without network."""
    run = tmp_path / "run"
    process = spawn("train", "--config", prepared / "config.toml", "--set", "tracking.wandb=offline", "--out", run)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert list(run.glob("wandb/offline-run-*/run-*.wandb"))
