"""The tables of `tinylm count-flops`."""

from collections.abc import Mapping, Sequence
from typing import Any

from tinylm.accounting.formulas import SYMBOLS, forward_formulas, parameter_formulas
from tinylm.accounting.shape import ModelShape
from tinylm.commands.console import bytes_text, count_text, duration, table

BLOCK_PARTS = {
    "norms": "  norms",
    "qk_norms": "  query and key norms",
    "attention_qkv": "  attention Q, K, V",
    "attention_output": "  attention output",
    "feed_forward": "  feed-forward",
}
FORWARD_PARTS = {
    "attention_projections": "attention projections (QKV + O)",
    "attention_scores": "QK^T scores",
    "attention_values": "attention x V",
    "feed_forward": "feed-forward",
    "lm_head": "LM head",
}
MODEL_OPTIONS = ("embedding_norm", "qk_norm", "value_embeddings", "skip_connections", "logit_softcap")
OPTIONAL = {"qk_norms", "embedding_norm", "skip_weights", "value_embeddings"}
"""Parts that a table leaves out of a model without them."""
RUNS = {"run": "this run", "chinchilla": "to the Chinchilla point", "budget": "within the budget"}

UNITS = (("TFLOP", 1e12), ("GFLOP", 1e9), ("MFLOP", 1e6))

Record = Mapping[str, Any]


def one_model(record: Record, explained: ModelShape | None) -> str:
    """Everything about one model; given its shape, the formulas too."""
    sections = [
        describe(record),
        parameter_table(record, parameter_formulas(explained) if explained else None),
        forward_table(record, forward_formulas(explained) if explained else None),
        training_text(record),
        runs_table(record),
    ]
    return "\n\n".join([*sections, *([SYMBOLS] if explained else [])])


def describe(record: Record) -> str:
    """One line that says which model this is."""
    shape = record["shape"]
    head = "tied head" if shape["tie_embeddings"] else "its own head"
    return (
        f"{record['model']}: {shape['num_layers']} layers, d_model {shape['d_model']:,}, {shape['num_heads']} heads, "
        f"{shape['feed_forward']} d_ff {shape['d_ff']:,}, vocabulary {shape['vocab_size']:,} with {head}, "
        f"context {shape['context_length']:,}{options_text(shape)}"
    )


def options_text(shape: Record) -> str:
    """`, qk_norm, logit_softcap 30`: the options that are on."""
    given = {name: shape[name] for name in MODEL_OPTIONS if shape[name]}
    return "".join(f", {name}" if value is True else f", {name} {value:g}" for name, value in given.items())


def parameter_table(record: Record, formulas: Mapping[str, str] | None) -> str:
    """Parameters of one block and of the model."""
    parameters, layers = record["parameters"], record["shape"]["num_layers"]
    per_block, total = parameters["per_block"], parameters["total"]

    def row(label: str, count: int, each: int | None = None) -> list[str]:
        return [label, "" if each is None else f"{each:,}", f"{count:,}", f"{count / total:.1%}"]

    rows = {
        "token_embedding": row("token embedding", parameters["token_embedding"]),
        "embedding_norm": row("embedding norm", parameters["embedding_norm"]),
        "blocks": row(f"{layers} blocks", parameters["blocks"], per_block["total"]),
        **{key: row(label, layers * per_block[key], per_block[key]) for key, label in BLOCK_PARTS.items()},
        "skip_weights": row("skip connections", parameters["skip_weights"]),
        "value_embeddings": row("value embeddings", parameters["value_embeddings"]),
        "final_norm": row("final norm", parameters["final_norm"]),
        "lm_head": row("LM head", parameters["lm_head"]),
        "total": row("total", total),
    }
    looked_up = "token and value embeddings" if parameters["value_embeddings"] else "the token embedding"
    absent = {key for key in OPTIONAL if not {**parameters, **per_block}[key]}
    shown = {key: cells for key, cells in rows.items() if key not in absent}
    return (
        f"{formula_table(['Parameters', 'one block', 'model', 'share'], shown, formulas)}\n"
        f"{bytes_text(4 * total)} in float32. Without {looked_up} {parameters['non_embedding']:,}; "
        f"in matrix products {parameters['matmul']:,}."
    )


def forward_table(record: Record, formulas: Mapping[str, str] | None) -> str:
    """FLOPs of a forward pass in both conventions."""
    dense, causal, share = record["forward_flops"], record["forward_flops_causal"], record["forward_share"]
    parts = {**FORWARD_PARTS, "total": "total"}
    rows = {
        key: [label, giga(dense[key]), f"{share[key]:.1%}", giga(causal[key]), f"{causal[key] / causal['total']:.1%}"]
        for key, label in parts.items()
    }
    title = f"Forward pass, {record['batch_size']:,} x {record['shape']['context_length']:,} tokens"
    headers = [title, "dense, GFLOPs", "share", "causal, GFLOPs", "share"]
    extra = record["elementwise_forward_flops"]
    return (
        f"{formula_table(headers, rows, formulas)}\n"
        "dense counts all S x S scores, as the literature and MFU do; causal only those that a causal model needs.\n"
        f"Element-wise operations add about {giga(extra)} GFLOPs ({extra / dense['total']:.1%})."
    )


def training_text(record: Record) -> str:
    """One optimizer step."""
    training, machine = record["training"], record["machine"]
    optimizer, step = training["optimizer_flops_per_step"], training["flops_per_step"]
    rows = [
        ["FLOPs a token", f"{flops_text(training['flops_per_token'])}s"],
        ["  the causal convention", f"{flops_text(training['flops_per_token_causal'])}s"],
        ["forward", f"{flops_text(training['forward_flops_per_step'])}s"],
        ["backward, twice that", f"{flops_text(training['backward_flops_per_step'])}s"],
        ["forward and backward", f"{flops_text(step)}s"],
        [f"optimizer ({training['optimizer']}), apart", f"{flops_text(optimizer)}s, {optimizer / step:.2g} of it"],
    ]
    if machine:
        rows += machine_rows(training, machine)
    title = f"Training step, {training['batch_size']:,} x {record['shape']['context_length']:,} tokens"
    return table([title, ""], rows)


def machine_rows(training: Record, machine: Record) -> list[list[str]]:
    """What one step takes on a device."""
    peak, mfu = machine["peak_flops_per_second"], machine["mfu"]
    seconds = training["seconds_per_step"]
    return [
        [f"{machine['device']}, {machine['precision']}, {machine['source']}", f"{flops_text(peak)}/s peak"],
        [f"at {mfu:.0%} MFU", f"{flops_text(peak * mfu)}/s"],
        ["time", f"{few_digits(seconds)} s"],
        ["tokens a second", f"{training['tokens_per_step'] / seconds:,.0f}"],
    ]


def runs_table(record: Record) -> str:
    """The runs that were asked about, and the compute-optimal one."""
    timed = record["machine"] is not None
    priced = timed and record["machine"]["dollars_per_hour"] is not None
    headers = ["Run", "steps", "tokens", "tokens/parameter", "FLOPs"]
    headers += ["time", "device-hours"] if timed else []
    headers += ["dollars"] if priced else []
    rows = []
    for name, run in record["runs"].items():
        row = [RUNS[name], f"{run['steps']:,}", count_text(run["tokens"]), f"{run['tokens_per_parameter']:.1f}"]
        row.append(f"{run['flops']:.3g}")
        row += [duration(run["seconds"]), few_digits(run["device_hours"])] if timed else []
        row += [f"{run['dollars']:,.2f}"] if priced else []
        rows.append(row)
    return table(headers, rows)


def comparison(records: Sequence[Record], explained: ModelShape | None) -> str:
    """Shares of the forward pass, one model or context length a column."""
    headers = [""] + [f"{record['model']}, S={record['shape']['context_length']:,}" for record in records]
    shares = [record["forward_share"] for record in records]
    totals = [record["forward_flops"]["total"] for record in records]
    both = [share["attention_scores"] + share["attention_values"] for share in shares]
    rows = {key: [label, *(f"{share[key]:.1%}" for share in shares)] for key, label in FORWARD_PARTS.items()}
    rows |= {
        "quadratic": ["scores and values, quadratic in S", *(f"{share:.1%}" for share in both)],
        "gflops": ["total, GFLOPs", *map(giga, totals)],
        "tflops": ["total, TFLOPs", *(f"{total / 1e12:,.1f}" for total in totals)],
        "growth": ["relative to the first", *(f"{total / totals[0]:.3g}x" for total in totals)],
        "causal": ["causal total, GFLOPs", *(giga(record["forward_flops_causal"]["total"]) for record in records)],
        "parameters": ["parameters", *(f"{record['parameters']['total']:,}" for record in records)],
    }
    title = f"Forward pass, batch {records[0]['batch_size']:,}, dense convention"
    return f"{title}\n{formula_table(headers, rows, forward_formulas(explained) if explained else None)}"


def formula_table(headers: list[str], rows: Mapping[str, list[str]], formulas: Mapping[str, str] | None) -> str:
    """A table whose second column, when there are formulas, holds that of each row's key."""
    if formulas is None:
        return table(headers, list(rows.values()))
    explained = [[row[0], formulas.get(key, ""), *row[1:]] for key, row in rows.items()]
    return table([headers[0], "formula", *headers[1:]], explained, left=2)


def giga(flops: int) -> str:
    """In GFLOPs: whole ones where they are many."""
    return f"{flops / 1e9:,.0f}" if flops >= 1e11 else f"{flops / 1e9:,.3g}"


def flops_text(flops: float) -> str:
    """`10773e12` -> `10,773 TFLOP`: the largest unit that leaves a digit before the point, up to tera."""
    unit, size = next((u for u in UNITS if flops >= u[1]), UNITS[-1])
    value = flops / size
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def few_digits(value: float) -> str:
    """`1104.9` -> `1,105`, `0.01234` -> `0.0123`."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
