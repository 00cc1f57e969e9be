"""A trained model with its tokenizer, loaded from a run directory or from one checkpoint of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tinylm.errors import TinylmError
from tinylm.model import TransformerLM
from tinylm.model.build import build_model
from tinylm.sampling import generate
from tinylm.tokenizer import Tokenizer
from tinylm.training.checkpoint import MANIFEST, load_result
from tinylm.training.run_directory import RunDirectory

END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What it takes to write text."""

    model: TransformerLM
    tokenizer: Tokenizer
    step: int
    """Training steps behind these weights."""
    notes: tuple[str, ...]
    """Damaged checkpoints that were passed over."""

    @classmethod
    def load(cls, path: str | Path, device: torch.device | str = "cpu") -> "TrainedModel":
        """The newest undamaged checkpoint of a run, or the checkpoint at `path` itself; its averaged weights, if any.

        Raises: TinylmError when `path` is neither, or holds no usable checkpoint.
        """
        path, damaged = Path(path), list[str]()
        if (path / MANIFEST).is_file():
            run, checkpoint = RunDirectory.existing(path.absolute().parents[1]), path
        else:
            run = RunDirectory.existing(path)
            newest, damaged = run.newest_checkpoint()
            if newest is None:
                raise TinylmError(f"{path}: no usable checkpoint yet{''.join(f'; {text}' for text in damaged)}")
            checkpoint = newest
        model = build_model(run.config().model, device=device)
        step = load_result(checkpoint, model)
        return cls(model.eval(), Tokenizer.load(run.tokenizer), step, tuple(damaged))

    def continuation(
        self,
        prompt: Sequence[int],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        top_k: int | None = None,
        seed: int,
    ) -> Iterator[int]:
        """Ids that continue the prompt, ending at `<|endoftext|>`; see `tinylm.sampling.generate`."""
        return generate(
            self.model,
            prompt,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            stop_token=end_of_text(self.tokenizer),
            tokens=self.tokenizer.vocab,
            seed=seed,
        )


def end_of_text(tokenizer: Tokenizer) -> int | None:
    """The id of `<|endoftext|>`, or None when the tokenizer has no such special token."""
    return tokenizer.encode(END_OF_TEXT)[0] if END_OF_TEXT in tokenizer.special_tokens else None
