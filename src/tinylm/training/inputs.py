"""What a run reads."""

from dataclasses import dataclass

from tinylm.configs.run import RunConfig
from tinylm.data.batches import require_one_window
from tinylm.data.token_file import TokenFile, open_tokens
from tinylm.errors import UsageError
from tinylm.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run reads, checked against one another."""

    tokenizer: Tokenizer
    train: TokenFile
    valid: TokenFile


def load_inputs(config: RunConfig) -> Inputs:
    """Open the `[data]` files. Raises: TinylmError or UsageError when they do not fit each other or the model."""
    tokenizer = Tokenizer.load(config.data.tokenizer)
    if len(tokenizer.vocab) > config.model.vocab_size:
        raise UsageError(
            f"{config.data.tokenizer}: has {len(tokenizer.vocab)} tokens, more than "
            f"model.vocab_size {config.model.vocab_size}; use --set model.vocab_size={len(tokenizer.vocab)}"
        )
    files = []
    for path in (config.data.train, config.data.valid):
        file = open_tokens(path)
        file.require_tokenizer(tokenizer.fingerprint)
        file.require_vocab_size(config.model.vocab_size)
        require_one_window(len(file.tokens), config.model.context_length)
        files.append(file)
    return Inputs(tokenizer, *files)
