"""`tinylm sample`: stdout, JSON, seeds, and prompts that cannot be continued."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

Invoke = Callable[..., Result]


@pytest.fixture(scope="module")
def run(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short trained run."""
    from tinylm.cli import app

    path = tmp_path_factory.mktemp("runs") / "run"
    arguments = ["train", "--config", str(prepared / "config.toml"), "--out", str(path), "--quiet"]
    result = CliRunner().invoke(app, [*arguments, "--set", "train.steps=40"], prog_name="tinylm")
    assert result.exit_code == 0, result.output
    return path


def test_json_has_one_entry_per_sample(invoke: Invoke, run: Path) -> None:
    """The documented keys, as many samples as asked, each beginning with the prompt."""
    result = invoke("sample", run, "--prompt", "the cat", "--num-samples", 3, "--max-new-tokens", 10, "--json")
    assert result.exit_code == 0, result.stderr
    values = json.loads(result.stdout)
    assert values.keys() == {"schema", "samples"}
    assert len(values["samples"]) == 3
    for sample in values["samples"]:
        assert sample.keys() == {"text", "num_tokens", "finish_reason"}
        assert sample["text"].startswith("the cat")
        assert sample["finish_reason"] == ("length" if sample["num_tokens"] == 10 else "stop")


def test_plain_output_is_the_text(invoke: Invoke, run: Path) -> None:
    """Without --json stdout is the text that --json holds."""
    command = ["sample", run, "--prompt", "the cat", "--max-new-tokens", 10]
    text = json.loads(invoke(*command, "--json").stdout)["samples"][0]["text"]
    assert invoke(*command).stdout == text + "\n"


def test_seed_decides(invoke: Invoke, run: Path) -> None:
    """The same seed writes the same text; with several samples the second is the next seed's first."""
    command = ["sample", run, "--prompt", "the", "--temperature", 2, "--top-p", 1, "--max-new-tokens", 12, "--json"]

    def texts(*more: object) -> list[str]:
        return [sample["text"] for sample in json.loads(invoke(*command, *more).stdout)["samples"]]

    assert texts("--seed", 5) == texts("--seed", 5)
    assert texts("--seed", 5) != texts("--seed", 6)
    assert texts("--seed", 5, "--num-samples", 2) == texts("--seed", 5) + texts("--seed", 6)


def test_prompt_from_standard_input(invoke: Invoke, run: Path) -> None:
    """`--prompt -` reads the prompt from a pipe."""
    result = invoke("sample", run, "--prompt", "-", "--max-new-tokens", 3, "--temperature", 0, input="the dog")
    assert result.stdout.startswith("the dog")


def test_special_token_text_in_a_prompt_is_text(invoke: Invoke, run: Path) -> None:
    """A prompt that spells <|endoftext|> is encoded as those letters and comes back as written."""
    result = invoke("sample", run, "--prompt", "<|endoftext|>", "--max-new-tokens", 1, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["samples"][0]["text"].startswith("<|endoftext|>")


def test_one_checkpoint_can_be_sampled(invoke: Invoke, run: Path) -> None:
    """A checkpoint's own path works in place of the run's."""
    checkpoint = run / "checkpoints" / "step-00000040"
    command = ["--prompt", "the", "--temperature", 0, "--max-new-tokens", 5]
    assert invoke("sample", checkpoint, *command).stdout == invoke("sample", run, *command).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompt", ""], "the prompt is empty"),
        (["--prompt", "the cat sat " * 50], "more than the model's context of 16"),
        (["--prompt", "the", "--temperature", "-1"], "temperature"),
        (["--prompt", "the", "--top-p", "0"], "top_p"),
        (["--prompt", "the", "--top-k", "0"], "top_k"),
        (["--prompt", "-"], "standard input: not UTF-8 (byte 3 is 0xe9)"),
    ],
    ids=["empty", "too long", "temperature", "top_p", "top_k", "not UTF-8"],
)
def test_impossible_requests_are_exit_code_2(arguments: list[str], message: str, invoke: Invoke, run: Path) -> None:
    """What cannot be asked is said in one line, with exit code 2 and nothing on stdout."""
    result = invoke("sample", run, *arguments, input="café".encode("latin1"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_seed_too_large_for_the_generator_is_refused(invoke: Invoke, run: Path) -> None:
    """64 bits are what there is."""
    result = invoke("sample", run, "--prompt", "the", "--seed", 99999999999999999999)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--seed" in result.stderr
    assert invoke("sample", run, "--prompt", "the", "--seed", 2**63 - 1, "--num-samples", 2).exit_code == 0


def test_missing_run_is_exit_code_1(invoke: Invoke, tmp_path: Path) -> None:
    """A directory without a run is named, with the command that makes one."""
    result = invoke("sample", tmp_path / "absent", "--prompt", "x")
    assert result.exit_code == 1
    assert "not a run directory" in result.stderr


def test_damaged_only_checkpoint_is_named(invoke: Invoke, run: Path, tmp_path: Path) -> None:
    """A run whose only checkpoint is damaged says which file."""
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    for checkpoint in (copy / "checkpoints").iterdir():
        (checkpoint / "model.safetensors").write_bytes(b"")
    result = invoke("sample", copy, "--prompt", "x")
    assert result.exit_code == 1
    assert "model.safetensors: damaged" in result.stderr
