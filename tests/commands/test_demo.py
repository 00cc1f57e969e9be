"""`tinylm demo`: which commands run, in which order, and what becomes of interruptions and second runs."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from typer.testing import Result

from tinylm.commands import demo
from tinylm.configs.loader import load_run_config
from tinylm.errors import TinylmError

Invoke = Callable[..., Result]
COMMANDS = ["make-stories", "make-stories", "train-bpe", "encode", "encode", "train", "sample"]
TINY = """
seed = 1
[data]
train = "train.npy"
valid = "valid.npy"
tokenizer = "tokenizer"
[model]
vocab_size = 400
context_length = 32
d_model = 16
num_layers = 1
num_heads = 1
d_ff = 16
[schedule]
warmup_steps = 1
[train]
steps = 4
batch_size = 2
eval_batches = 2
device = "cpu"
"""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the demo would run; each command only leaves its product."""
    made: list[list[str]] = []

    def call(arguments: Sequence[str], *, capture: bool) -> str | None:
        made.append(list(arguments))
        product = demo.Stage("", shlex.join(["tinylm", *arguments])).product
        if product is not None:
            product.parent.mkdir(parents=True, exist_ok=True)
            product.touch()
        return json.dumps({"ran": arguments[0]}) if capture else None

    monkeypatch.setattr(demo, "call", call)
    return made


def test_the_pipeline_in_order(invoke: Invoke, calls: list[list[str]], tmp_path: Path) -> None:
    """Each command runs once, in the order a user would type them, and each line shown is the command that ran."""
    result = invoke("demo", "--out", tmp_path / "d")
    assert result.exit_code == 0
    assert [call[0] for call in calls] == COMMANDS
    shown = [shlex.split(line)[2:] for line in result.stderr.splitlines() if line.startswith("$ ")]
    assert shown == calls


def test_train_and_valid_stories_differ(tmp_path: Path) -> None:
    """The model is measured on stories of another seed than those it learns from."""
    train, valid = (stage.arguments for stage in demo.pipeline(tmp_path)[:2])
    assert train[train.index("--seed") + 1] != valid[valid.index("--seed") + 1]


def test_the_default_directory_needs_no_overrides() -> None:
    """In `demo` the paths of the shipped configuration hold, so that the training command is short."""
    assert "tinylm train --config demo --out demo/run" in [stage.command for stage in demo.pipeline(Path("demo"))]


def test_another_directory_is_passed_to_the_configuration(tmp_path: Path) -> None:
    """Elsewhere, also where the path needs quotes, the data paths are given with --set."""
    out = tmp_path / "my demo"
    arguments = demo.pipeline(out)[5].arguments
    overrides = [value for flag, value in pairwise(arguments) if flag == "--set"]
    data = load_run_config("demo", overrides).data
    assert (data.train, data.valid, data.tokenizer) == (
        str(out / "train.npy"), str(out / "valid.npy"), str(out / "tokenizer"),
    )  # fmt: skip


def test_a_second_demo_keeps_what_exists(invoke: Invoke, calls: list[list[str]], tmp_path: Path) -> None:
    """Finished stages are kept and named; training resumes by itself, and samples are written again."""
    invoke("demo", "--out", tmp_path)
    calls.clear()
    result = invoke("demo", "--out", tmp_path)
    assert [call[0] for call in calls] == ["train", "sample"]
    assert not any("--force" in call for call in calls)
    assert result.stderr.count("is there already and is kept") == 5
    assert result.stdout.count(" kept\n") == 5


def test_force_makes_everything_anew(invoke: Invoke, calls: list[list[str]], tmp_path: Path) -> None:
    """With --force each command that finds its product there is told to replace it."""
    invoke("demo", "--out", tmp_path)
    calls.clear()
    invoke("demo", "--out", tmp_path, "--force")
    assert [call[0] for call in calls if "--force" in call] == COMMANDS[:-1]


def test_what_depends_on_a_new_stage_is_made_anew(invoke: Invoke, calls: list[list[str]], tmp_path: Path) -> None:
    """When the tokenizer is gone, tokens and model are of no use: everything after it is replaced."""
    invoke("demo", "--out", tmp_path)
    (tmp_path / "tokenizer").unlink()
    calls.clear()
    invoke("demo", "--out", tmp_path)
    assert [(call[0], "--force" in call) for call in calls] == [
        ("train-bpe", False), ("encode", True), ("encode", True), ("train", True), ("sample", False),
    ]  # fmt: skip


def test_json(invoke: Invoke, calls: list[list[str]], tmp_path: Path) -> None:
    """One object holds the stages with their commands' own objects."""
    result = invoke("demo", "--out", tmp_path, "--json", "--quiet")
    assert result.stderr == ""
    values = json.loads(result.stdout)
    assert [stage["result"] for stage in values["stages"]] == [{"ran": name} for name in COMMANDS]
    assert values.keys() >= {"schema", "seconds", "valid_loss", "samples", "out"}
    assert all(call[-2:] == ["--json", "--quiet"] for call in calls)


def test_what_to_do_next_names_real_commands(invoke: Invoke, calls: list[list[str]], tmp_path: Path) -> None:
    """The commands for a text of one's own have the options of those that the demo ran; and --shard, to split it."""
    text = invoke("demo", "--out", tmp_path).stdout.replace("\\\n", "")
    suggested = [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("  tinylm ")]
    assert [words[0] for words in suggested] == ["train-bpe", "encode", "encode", "train", "sample"]
    flags = {word for call in calls for word in call if word.startswith("--")}
    assert {word for words in suggested for word in words if word.startswith("--")} <= flags | {"--shard"}
    held_out = [words[words.index("--shard") + 1] for words in suggested if "--shard" in words]
    assert held_out == ["1-19/20", "20/20"]


def test_a_failing_command_ends_the_demo_with_its_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    """The command has said what is wrong; the demo adds nothing."""
    with pytest.raises(typer.Exit) as exit_:
        demo.call(["encode", "nowhere.txt", "--tokenizer", "nowhere", "--out", "x.txt"], capture=False)
    assert exit_.value.exit_code == 2
    assert capfd.readouterr().err.count("error:") == 1


def test_a_killed_command_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A command that the system kills, for its memory say, says nothing itself."""
    (tmp_path / "tinylm.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TinylmError, match="`tinylm train` was killed by signal 9"):
        demo.call(["train"], capture=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_the_command_save_first(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C, which a terminal sends to both, and what ends the demo alone, wait for the command to end well."""
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("ignored here, as nohup has it")
    (tmp_path / "tinylm.py").write_text(
        "import pathlib, signal, sys, time\n"
        "def save(number, frame):\n"
        "    time.sleep(0.5); pathlib.Path('saved').touch(); sys.exit(7)\n"
        "signal.signal(signal.SIGINT, save); signal.signal(signal.SIGTERM, save)\n"
        "pathlib.Path('ready').touch()\n"
        "time.sleep(20)\n"
    )
    source = Path(demo.__file__).parents[2]
    code = f"import sys; sys.path.insert(0, {str(source)!r})\n"
    code += "from tinylm.commands import demo\ndemo.call(['train'], capture=True)"
    process = subprocess.Popen([sys.executable, "-I", "-c", code], cwd=tmp_path, start_new_session=True)
    deadline = time.monotonic() + 20
    while not (tmp_path / "ready").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    process.wait(20)
    assert (tmp_path / "saved").exists()


@pytest.mark.slow
def test_the_whole_demo_with_a_tiny_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The real commands, on a little text: stories in, stories out, every number there, and again at once."""
    (tmp_path / "tiny.toml").write_text(TINY)
    monkeypatch.setattr(demo, "CONFIG", str(tmp_path / "tiny.toml"))
    monkeypatch.setattr(demo, "PIPELINE", demo.PIPELINE.replace("5MB", "60kB").replace("200kB", "10kB"))
    from typer.testing import CliRunner

    from tinylm.cli import app

    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "d"), "--json", "--quiet"])
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    assert values["steps"] == 4
    assert values["valid_loss"] > 0
    assert len(values["samples"]) == 3
    assert (tmp_path / "d" / "run" / "learning-curve.png").is_file()
