"""The one way in which functions here are compiled."""

import functools

from numba import njit


def machine_code_is_kept() -> bool:
    """Whether numba finds a place for it: beside the sources, in the user's cache, or where NUMBA_CACHE_DIR says."""
    try:
        njit(cache=True)(machine_code_is_kept)
    except RuntimeError:  # neither can be written to
        return False
    return True


IS_KEPT = machine_code_is_kept()

kernel = functools.partial(njit, nogil=True, cache=IS_KEPT, _nrt=False)
"""numba's `njit`, without Python's lock while it runs, its machine code kept on disk if it can be.

A kernel works on arrays that it is given, and so has no references to count: numba's counts, atomic additions for each
array at each call, took half the time of a short call. One that makes arrays says `_nrt=True`.
"""
