"""The one way in which functions here are compiled."""

import functools

from numba import njit

kernel = functools.partial(njit, nogil=True, cache=True, _nrt=False)
"""numba's `njit`, without Python's lock while it runs, its machine code kept on disk.

A kernel works on arrays that it is given, and so has no references to count: numba's counts, atomic additions for each
array at each call, took half the time of a short call. One that makes arrays says `_nrt=True`.
"""
