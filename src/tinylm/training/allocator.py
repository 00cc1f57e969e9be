"""What the C library does with memory that a training step frees and the next one needs again."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h
NEVER = -1


def keep_freed_memory() -> bool:
    """Have glibc's malloc keep what is freed, for the whole process; says whether this C library is glibc.

    By default each block above some megabytes is mapped anew and unmapped when it is freed. A step on a CPU does that
    with all of its large tensors, and the kernel clears every page of them every time: a tenth of the step of a large
    model, a fifth of a small one's. Kept on the heap they are there already. The process holds its peak until it ends,
    and up to a tenth more in gaps.
    """
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False  # musl has no mallopt
    # mallopt(parameter, value) is 1 on success. No M_MMAP_THRESHOLD: before glibc 2.35 it could not exceed 32 MB.
    return all(library.mallopt(*setting) == 1 for setting in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, NEVER)))
