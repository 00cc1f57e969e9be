"""What encoding yields, piece by piece."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Position(NamedTuple):
    """A place in a list of sources where encoding can go on."""

    source: int
    """Number of the source in the list."""
    offset: int
    """In its file, in bytes."""


BEGINNING = Position(0, 0)


@dataclass(frozen=True)
class EncodedBlock:
    """Consecutive token ids of the inputs."""

    ids: NDArray[Any]
    document_starts: NDArray[np.intp]
    """Where in `ids` a document begins: at a file's first token, and after each special token."""
    bytes_read: int
    """Bytes of all sources read by now."""
    position: Position | None
    """Where this block ends; None where encoding cannot go on from the middle."""
