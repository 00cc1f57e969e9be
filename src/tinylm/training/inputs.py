"""What a run reads."""

from dataclasses import dataclass
from typing import Any

from tinylm.configs.run import RunConfig, TrainConfig
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

    def train_content(self) -> dict[str, Any]:
        """Tells the training data apart from others': resuming on other data would not be the same run."""
        return _content(self.train)

    def evaluation(self, num_batches: int) -> dict[str, Any]:
        """Tells an evaluation on `num_batches` batches (0: all) of the validation data apart from others."""
        return {**_content(self.valid), "batches": num_batches}

    def final_evaluation(self, train: TrainConfig) -> dict[str, Any]:
        """That at the end of a run."""
        return self.evaluation(final_eval_batches(train))


def final_eval_batches(train: TrainConfig) -> int:
    """Batches of the evaluation at the end; 0 for the whole validation file."""
    return 0 if train.final_eval == "full" else train.eval_batches


def _content(file: TokenFile) -> dict[str, Any]:
    return {"num_tokens": len(file.tokens), "sha256": file.info.sha256 if file.info else None}


def load_inputs(config: RunConfig) -> Inputs:
    """Open the `[data]` files. Raises: TinylmError or UsageError when they do not fit each other or the model."""
    tokenizer = Tokenizer.load(config.data.tokenizer)
    if tokenizer.vocab_size > config.model.vocab_size:
        raise UsageError(
            f"{config.data.tokenizer}: has {tokenizer.vocab_size} tokens, more than "
            f"model.vocab_size {config.model.vocab_size}; use --set model.vocab_size={tokenizer.vocab_size}"
        )
    files = []
    for path in (config.data.train, config.data.valid):
        file = open_tokens(path)
        file.require_tokenizer(tokenizer.fingerprint)
        file.require_vocab_size(config.model.vocab_size)
        require_one_window(len(file.tokens), config.model.context_length)
        files.append(file)
    return Inputs(tokenizer, *files)
