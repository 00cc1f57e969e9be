"""What the tokenizer promises, shown; run by `python -m benchmarks.tokenizer_limits`."""
