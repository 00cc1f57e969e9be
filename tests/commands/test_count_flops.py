"""`tinylm count-flops`: the write-up's tables to the printed digit, and everything asked wrongly."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

Invoke = Callable[..., Result]
COMPONENTS = ["attention_projections", "attention_scores", "attention_values", "feed_forward", "lm_head", "total"]


@pytest.fixture
def counted(invoke: Invoke) -> Callable[..., dict[str, Any]]:
    """The JSON of a count."""

    def run(*arguments: str) -> dict[str, Any]:
        result = invoke("count-flops", *arguments, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return run


def row(text: str, label: str) -> list[str]:
    """The cells of the line that begins with `label`."""
    line = next(line for line in text.splitlines() if line.strip().startswith(label))
    return line.strip().removeprefix(label).split()


def test_parameters_of_gpt2_xl_are_the_write_up_s(invoke: Invoke) -> None:
    """Every number of its two parameter tables, and 8.51 GB."""
    text = invoke("count-flops", "--preset", "gpt2-xl").stdout
    assert row(text, "norms")[0] == "3,200"
    assert row(text, "attention Q, K, V")[0] == "7,680,000"
    assert row(text, "attention output")[0] == "2,560,000"
    assert row(text, "feed-forward")[0] == "30,720,000"
    assert row(text, "48 blocks")[:2] == ["40,963,200", "1,966,233,600"]
    assert row(text, "token embedding")[0] == row(text, "LM head")[0] == "80,411,200"
    assert row(text, "final norm")[0] == "1,600"
    assert row(text, "total")[0] == "2,127,057,600"
    assert row(text, "8.51 GB")[:2] == ["in", "float32."]


def test_shares_of_the_four_sizes_are_the_write_up_s(invoke: Invoke) -> None:
    """One command, the whole table."""
    sizes = ("small", "medium", "large", "xl")
    presets = [word for size in sizes for word in ("--preset", f"gpt2-{size}")]
    text = invoke("count-flops", *presets).stdout
    assert row(text, "attention projections (QKV + O)") == ["16.6%", "20.0%", "21.4%", "22.3%"]
    assert row(text, "QK^T scores") == row(text, "attention x V") == ["5.5%", "5.0%", "4.3%", "3.6%"]
    assert row(text, "feed-forward") == ["49.8%", "59.9%", "64.2%", "66.9%"]
    assert row(text, "LM head") == ["22.6%", "10.2%", "5.8%", "3.6%"]
    assert row(text, "total, GFLOPs") == ["350", "1,033", "2,258", "4,513"]


def test_a_context_16_times_as_long_is_the_write_up_s(invoke: Invoke) -> None:
    """10.8 / 55.2 / 32.3 / 1.8 %, 149.5 TFLOPs, 33 times as many."""
    lengths = ["--context-length", "1024", "--context-length", "16384"]
    text = invoke("count-flops", "--preset", "gpt2-xl", *lengths).stdout
    assert row(text, "attention projections (QKV + O)") == ["22.3%", "10.8%"]
    assert row(text, "scores and values, quadratic in S") == ["7.1%", "55.2%"]  # it adds 3.6 and 3.6 to 7.2
    assert row(text, "feed-forward") == ["66.9%", "32.3%"]
    assert row(text, "LM head") == ["3.6%", "1.8%"]
    assert row(text, "total, TFLOPs") == ["4.5", "149.5"]
    assert f"{float(row(text, 'relative to the first')[1].rstrip('x')):.0f}" == "33"


def test_fourteen_years_on_an_a100_are_the_write_up_s(invoke: Invoke) -> None:
    """3,591 and 10,773 TFLOPs, 24.5 GFLOPs of AdamW, 9.75 TFLOP/s, 1,105 s a step, 14 years."""
    run = ["--batch-size", "1024", "--steps", "400000", "--device", "a100", "--precision", "fp32", "--mfu", "0.5"]
    text = invoke("count-flops", "--preset", "gpt2-xl", "--set", "feed_forward=silu", *run).stdout
    assert row(text, "forward ")[0] == "3,591"
    assert row(text, "forward and backward") == ["10,773", "TFLOPs"]
    assert row(text, "optimizer (adamw), apart")[:2] == ["24.5", "GFLOPs,"]
    assert row(text, "at 50% MFU") == ["9.75", "TFLOP/s"]
    assert row(text, "time") == ["1,105", "s"]
    assert "14.0 years" in text
    assert row(text, "total")[0] == "1,635,537,600"


def test_json_has_the_promised_keys(counted: Callable[..., dict[str, Any]]) -> None:
    """Those that other programs rely on, unrounded."""
    record = counted("--preset", "gpt2-xl")
    parameters = record["parameters"]
    assert record["schema"] == 1
    assert parameters["per_block"]["total"] == 40_963_200
    assert parameters["non_embedding"] == parameters["total"] - parameters["token_embedding"]
    assert set(parameters) >= {"token_embedding", "per_block", "blocks", "final_norm", "lm_head", "total"}
    for key in ("forward_flops", "forward_flops_causal", "forward_share"):
        assert list(record[key]) == COMPONENTS
    assert record["forward_share"]["total"] == 1
    assert sum(record["forward_share"].values()) == pytest.approx(2)
    training = record["training"]
    assert training["flops_per_step"] == 3 * record["forward_flops"]["total"] == 1024 * training["flops_per_token"]


def test_a_tied_head_has_flops_but_no_parameters(counted: Callable[..., dict[str, Any]]) -> None:
    """Counted once as embedding, multiplied all the same."""
    record = counted("--preset", "owt")
    assert record["parameters"]["lm_head"] == 0
    assert record["forward_flops"]["lm_head"] == 256 * 2 * 512 * 32_000


def test_options_have_parameters_under_names_of_their_own(counted: Callable[..., dict[str, Any]]) -> None:
    """The total is the sum of all parts, and neither kind of looked-up embedding is in `non_embedding`."""
    options = ["qk_norm=true", "embedding_norm=true", "value_embeddings=2", "skip_connections=true"]
    parameters = counted("--preset", "tinystories", *(word for o in options for word in ("--set", o)))["parameters"]
    block = parameters["per_block"]
    assert (block["qk_norms"], parameters["embedding_norm"], parameters["skip_weights"]) == (128, 512, 3)
    assert parameters["value_embeddings"] == 2 * (10_000 * 512 + 1)
    assert block["total"] == sum(count for name, count in block.items() if name != "total")
    parts = ("embedding_norm", "blocks", "skip_weights", "final_norm", "lm_head")
    assert parameters["non_embedding"] == sum(parameters[part] for part in parts)
    looked_up = parameters["token_embedding"] + parameters["value_embeddings"]
    assert parameters["total"] == parameters["non_embedding"] + looked_up


def test_options_are_named_and_only_those_that_are_on(invoke: Invoke) -> None:
    """The first line and the table say which options a model has; a model without has no row for them."""
    options = ["--set", "qk_norm=true", "--set", "value_embeddings=2", "--set", "logit_softcap=15"]
    with_options = invoke("count-flops", "--preset", "tinystories", *options).stdout
    assert with_options.splitlines()[0].endswith("context 256, qk_norm, value_embeddings 2, logit_softcap 15")
    assert row(with_options, "value embeddings")[0] == "10,240,002"
    assert row(with_options, "query and key norms")[:2] == ["128", "1,024"]
    plain = invoke("count-flops", "--preset", "tinystories").stdout
    assert plain.splitlines()[0].endswith("context 256")
    assert not any(
        line.strip().startswith(("value emb", "query and", "skip", "embedding norm")) for line in plain.splitlines()
    )


def test_a_configuration_brings_its_steps_batch_and_optimizer(
    counted: Callable[..., dict[str, Any]], tmp_path: Any
) -> None:
    """The forward pass stays that of one sequence; training is the configured one; overrides reach any table."""
    path = tmp_path / "run.toml"
    path.write_text(
        "[model]\nd_model = 64\nnum_heads = 2\n[optim]\nkind = 'muon'\n[train]\nsteps = 7\nbatch_size = 6\n"
    )
    record = counted("--config", str(path), "--set", "train.batch_size=8", "--set", "num_layers=3")
    assert record["batch_size"] == 1
    assert record["shape"]["num_layers"] == 3
    assert (record["training"]["batch_size"], record["training"]["optimizer"]) == (8, "muon")
    assert record["runs"]["run"]["steps"] == 7
    assert record["machine"] is None


def test_price_and_budget_follow_from_the_device(counted: Callable[..., dict[str, Any]]) -> None:
    """Dollars are hours times the price, and the budget's run takes no more than the budget."""
    record = counted(
        "--preset", "owt", "--batch-size", "128", "--device", "h100", "--price", "3", "--budget-hours", "1.5"
    )
    budget = record["runs"]["budget"]
    assert record["machine"]["peak_flops_per_second"] == 989.4e12
    assert budget["device_hours"] == pytest.approx(1.5, rel=1e-3)
    assert budget["device_hours"] <= 1.5
    assert budget["dollars"] == pytest.approx(3 * budget["device_hours"])


def test_this_machine_can_be_measured(counted: Callable[..., dict[str, Any]]) -> None:
    """An unknown device is timed, never guessed."""
    record = counted("--preset", "tinystories", "--measure", "--precision", "fp32")
    assert record["machine"]["source"].startswith("measured")
    assert record["training"]["seconds_per_step"] > 0


def test_explain_shows_each_formula(invoke: Invoke) -> None:
    """One per component, and what the letters mean."""
    text = invoke("count-flops", "--preset", "gpt2-xl", "--explain").stdout
    assert "2 * B * S * 3 * D * F * L" in text
    assert "2 * B * S**2 * D * L" in text
    assert "S context_length" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give either --preset NAME or --config FILE"),
        (["--preset", "gpt2-xxl"], "did you mean 'gpt2-xl'?"),
        (["--preset", "gpt2-xl", "--context-length", "1e30"], "--context-length 1e30: expected a whole number"),
        (["--preset", "gpt2-xl", "--context-length", "-1024"], "--context-length -1024: expected a whole number"),
        (["--preset", "gpt2-xl", "--set", "num_heads=7"], "d_model 1600 is not divisible by num_heads 7"),
        (["--preset", "gpt2-xl", "--set", "d_model=-3"], "greater than 0, not -3"),
        (["--preset", "gpt2-xl", "--set", "d_modle=3"], "did you mean 'd_model'?"),
        (["--preset", "gpt2-xl", "--device", "abacus"], "no figures for a device 'abacus'"),
        (["--preset", "gpt2-xl", "--device", "t4", "--precision", "bf16"], "t4 has no bf16"),
        (["--preset", "gpt2-xl", "--device", "t4", "--measure"], "leave out --device"),
        (["--preset", "gpt2-xl", "--price", "2"], "add --device NAME or --measure"),
        (["--preset", "gpt2-xl", "--config", "x.toml"], "give either"),
        (["--config", "no-such.toml"], "no-such.toml: no such file"),
    ],
)
def test_nonsense_gets_a_plain_answer(invoke: Invoke, arguments: list[str], says: str) -> None:
    """Exit code 2, nothing on stdout, what is wrong on stderr without a traceback."""
    result = invoke("count-flops", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_a_preset_starts_without_anything_heavy() -> None:
    """Neither torch nor numpy nor our own validation; Typer 0.29 brings pydantic itself."""
    heavy = {"torch", "numpy", "numba", "rich", "matplotlib", "wandb", "tinylm.configs.model", "tinylm.configs.loader"}
    program = (
        "import sys; sys.argv[1:] = ['count-flops', '--preset', 'gpt2-xl', '--context-length', '512']\n"
        "from tinylm.cli import app\n"
        "try: app()\n"
        f"finally: print(sorted({heavy!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
