"""BPE in compiled kernels, for large inputs in GPT-2's pattern; results are those of the plain modules one level up.

    chunks -> cuts                  bytes of a file, cut where no pre-token and no special token is
    scanner -> utf8                 where pre-tokens start
    counter -> keys                 how often each pre-token occurs                        (training)
    merges -> pair_heap             which pairs to merge                                   (training)
    encoder -> bpe -> merge_table   ids of pre-tokens, from a cache or by merging          (encoding)
    text_encoder, files, parallel   the Python around them; compilation: when numba works

A kernel is a function that numba compiles to machine code: loops over arrays, nothing else. It releases the GIL, so
that threads work in parallel, each on chunks of its own.
"""
