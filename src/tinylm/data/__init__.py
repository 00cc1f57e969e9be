"""Token files on disk, and the batches drawn from them."""

from typing import TYPE_CHECKING, Any

from tinylm.data.token_file import TokenFile, open_tokens

if TYPE_CHECKING:
    from tinylm.data.batches import sample_batch

__all__ = ["TokenFile", "open_tokens", "sample_batch"]


def __getattr__(name: str) -> Any:
    """Batches are torch tensors; token files do without torch, whose import takes seconds."""
    if name != "sample_batch":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tinylm.data.batches import sample_batch

    return sample_batch
