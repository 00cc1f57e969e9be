"""The tables of `tinylm memory`."""

from collections.abc import Mapping, Sequence
from typing import Any

from tinylm.accounting.activations import times_kept
from tinylm.accounting.formulas import MEMORY_SYMBOLS, WRITEUP_ACTIVATIONS, kept_formulas, optimizer_formula
from tinylm.accounting.shape import ModelShape
from tinylm.commands.console import bytes_text, table

Record = Mapping[str, Any]

KEPT = {
    "token_ids": "token ids",
    "embedding_norm": "embedding norm",
    "value_embedding": "value embeddings",
    "skip_connections": "skip connections",
    "attention": "attention and its norm",
    "attention_with_value_embedding": "  with a value embedding",
    "feed_forward": "feed-forward and its norm",
    "head": "final norm and head",
    "loss": "loss",
}
OPTIONAL = {"embedding_norm", "value_embedding", "skip_connections", "attention", "attention_with_value_embedding"}
"""Parts that a table leaves out of a model without them."""


def text(records: Sequence[Record], *, explain: bool) -> str:
    """The peak of each model in a column; of a single one also its parts and what would change it."""
    first = records[0]
    sections = [peak_table(records, explain=explain)]
    if len(records) == 1 and first["activations"] == "exact":
        sections += [kept_table(first, explain=explain), moments_table(first), alternatives_table(first)]
    return "\n\n".join([*sections, *([MEMORY_SYMBOLS] if explain else [])])


def peak_table(records: Sequence[Record], *, explain: bool) -> str:
    """From the parameters to the largest batch."""
    first = records[0]
    activations = (
        WRITEUP_ACTIVATIONS if first["activations"] == "writeup" else "kept for the backward pass, and the loss"
    )
    rows = [
        amounts("parameters, float32", "4 * P", records, "parameters_bytes"),
        amounts("gradients", "4 * P", records, "gradients_bytes"),
        amounts(
            f"optimizer state, {first['optimizer']}", optimizer_formula(first["optimizer"]), records, "optimizer_bytes"
        ),
        amounts("fixed", "their sum", records, "fixed_bytes"),
        amounts(f"activations a sample, {first['activations']}", activations, records, "activation_bytes_per_sample"),
        *([amounts("the matrix library's own", "2 * 2**25", records, "workspace_bytes")] * (first["device"] == "cuda")),
        ["batch size", "", *(f"{record['batch_size']:,}" for record in records)],
        amounts(f"peak of a step, {first['precision']}", "", records, "total_bytes"),
        ["reached", "", *(record["peak_during"] for record in records)],
    ]
    rows += check_rows(records)
    if first["device_memory_bytes"] is not None:
        label = f"largest batch in {bytes_text(first['device_memory_bytes'])}"
        rows.append([label, "", *(f"{record['max_batch_size']:,}" for record in records)])
    rows.append(amounts("KV cache a sequence, sampling", "2 * L * S * D * E", records, "kv_cache_bytes_per_sequence"))
    headers = [
        "Memory",
        "formula",
        *(f"{record['model']}, S={record['shape']['context_length']:,}" for record in records),
    ]
    if explain:
        return table(headers, rows, left=2)
    return table([headers[0], *headers[2:]], [[row[0], *row[2:]] for row in rows])


def amounts(label: str, formula: str, records: Sequence[Record], key: str) -> list[str]:
    """A row of bytes."""
    return [label, formula, *(bytes_text(record[key]) for record in records)]


def check_rows(records: Sequence[Record]) -> list[list[str]]:
    """What `--trace` and `--measure` found, and how far the prediction is from it."""
    rows = []
    for key, label in (("traced_bytes", "  traced"), ("measured_bytes", "  measured")):
        if key in records[0]:
            errors = (record["total_bytes"] / record[key] - 1 for record in records)
            found = (bytes_text(record[key]) for record in records)
            rows.append([label, "", *(f"{amount} ({error:+.2%})" for amount, error in zip(found, errors, strict=True))])
    return rows


def kept_table(record: Record, *, explain: bool) -> str:
    """What autograd keeps of one micro-batch."""
    shape, micro_batch = ModelShape(**record["shape"]), record["batch_size"] // record["grad_accumulation"]
    formulas, counts = kept_formulas(shape, micro_batch, record["precision"], record["device"]), times_kept(shape)
    rows = []
    for key, label in KEPT.items():
        one, every = record["kept_bytes"][key], counts[key] * record["kept_bytes"][key]
        if every or key not in OPTIONAL:
            rows.append([label, formulas[key], bytes_text(one) if counts[key] > 1 else "", bytes_text(every)])
    headers = [f"Kept for the backward pass, {micro_batch:,} sequences", "formula", "one block", "model"]
    if explain:
        return table(headers, rows, left=2)
    return table([headers[0], *headers[2:]], [[row[0], *row[2:]] for row in rows])


def moments_table(record: Record) -> str:
    """The moments that could be the peak."""
    rest = record["total_bytes"] - max(record["moments_bytes"].values())
    rows = [[f"during {name}", bytes_text(rest + extra)] for name, extra in record["moments_bytes"].items()]
    return table(["Bytes held", ""], rows)


def alternatives_table(record: Record) -> str:
    """Peak, and the largest batch where a device is known, with one thing changed."""
    headers = ["With", "peak", "change"]
    known = record["device_memory_bytes"] is not None
    rows = []
    for name, change in record["alternatives"].items():
        row = [name, bytes_text(change["total_bytes"]), f"{change['total_bytes'] / record['total_bytes'] - 1:+.0%}"]
        rows.append([*row, *([f"{change['max_batch_size']:,}"] if known else [])])
    return table([*headers, *(["largest micro-batch"] if known else [])], rows)
