"""The machine instructions that numba has no name for, one function each.

An intrinsic is a function whose body is written in LLVM's intermediate representation: the first half tells numba the
types, the inner `generate` emits the instructions. Everything else in this package is ordinary Python over arrays.
Positions are int64 and bit masks are uint64 throughout: in numba, as in numpy, mixing the two gives float64.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

BLOCK = 64
"""Bytes examined at a time: one bit of a uint64 mask for each."""

PADDING = 2 * BLOCK
"""Bytes that must be readable after the end of any text given to a kernel, since whole blocks are loaded."""

_BYTE, _WORD = ir.IntType(8), ir.IntType(64)
_BLOCK_OF_BYTES, _PAIR = ir.VectorType(_BYTE, BLOCK), ir.VectorType(_WORD, 2)


@intrinsic
def mask_in_range(typing_context: Any, text: Any, at: Any, low: Any, high: Any) -> Any:
    """Bit i says whether low <= text[at + i] <= high, for 64 bytes (AVX2: two vpsubb, vpminub, vpcmpeqb, vpmovmskb)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        block = builder.load(_pointer(context, builder, signature, arguments, _BLOCK_OF_BYTES), align=1)
        low, high = (builder.trunc(value, _BYTE) for value in arguments[2:])
        distance = builder.sub(block, _splat(builder, low))
        inside = builder.icmp_unsigned("<=", distance, _splat(builder, builder.sub(high, low)))
        return builder.bitcast(inside, _WORD)

    return types.uint64(text, types.int64, types.int64, types.int64), generate


@intrinsic
def load_word(typing_context: Any, data: Any, at: Any) -> Any:
    """The eight bytes at `data[at:at + 8]` as a little-endian integer (one mov, aligned or not)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(context, builder, signature, arguments, _WORD), align=1)

    return types.uint64(data, types.int64), generate


@intrinsic
def store_word(typing_context: Any, data: Any, at: Any, word: Any) -> Any:
    """Write eight bytes over the elements from `data[at]` on (one mov, aligned or not)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _pointer(context, builder, signature, arguments, _WORD), align=1)
        return context.get_dummy_value()

    return types.void(data, types.int64, types.uint64), generate


@intrinsic
def same_pair(typing_context: Any, data: Any, at: Any, other: Any, other_at: Any) -> Any:
    """Whether the sixteen bytes from `data[at]` on are those from `other[other_at]` on (vmovdqu, vpxor, vptest)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointers = [_pointer(context, builder, signature, arguments, _PAIR, first) for first in (0, 2)]
        difference = builder.xor(*(builder.load(pointer, align=1) for pointer in pointers))
        both_words = ir.IntType(128)
        return builder.icmp_unsigned("==", builder.bitcast(difference, both_words), ir.Constant(both_words, 0))

    return types.boolean(data, types.int64, other, types.int64), generate


@intrinsic
def copy_pair(typing_context: Any, source: Any, at: Any, target: Any, target_at: Any) -> Any:
    """Write the sixteen bytes from `source[at]` on over those from `target[target_at]` on (two vmovdqu)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pair = builder.load(_pointer(context, builder, signature, arguments, _PAIR), align=1)
        builder.store(pair, _pointer(context, builder, signature, arguments, _PAIR, 2), align=1)
        return context.get_dummy_value()

    return types.void(source, types.int64, target, types.int64), generate


@intrinsic
def prefetch(typing_context: Any, data: Any, at: Any) -> Any:
    """Begin to bring the cache line of `data[at]` near, without waiting for it (prefetcht0)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature, arguments, _BYTE)
        kinds = [pointer.type, *[ir.IntType(32)] * 3]
        function = builder.module.declare_intrinsic(
            "llvm.prefetch", [pointer.type], ir.FunctionType(ir.VoidType(), kinds)
        )
        builder.call(function, [pointer, *(ir.Constant(ir.IntType(32), flag) for flag in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(data, types.int64), generate


@intrinsic
def lowest_bit(typing_context: Any, mask: Any) -> Any:
    """The number of the lowest set bit of `mask`, 64 for none (tzcnt)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic
def count_bits(typing_context: Any, mask: Any) -> Any:
    """How many bits of `mask` are set (popcnt)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


def _pointer(context: Any, builder: Any, signature: Any, arguments: Any, kind: Any, first: int = 0) -> Any:
    """The address of an element as a pointer to `kind`; its array is argument number `first`, its index the next."""
    array = cgutils.create_struct_proxy(signature.args[first])(context, builder, value=arguments[first])
    return builder.bitcast(builder.gep(array.data, [arguments[first + 1]]), kind.as_pointer())


def _splat(builder: Any, value: Any) -> Any:
    """A vector with `value` in all 64 lanes."""
    single = builder.insert_element(ir.Constant(_BLOCK_OF_BYTES, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), BLOCK), [0] * BLOCK)
    return builder.shuffle_vector(single, ir.Constant(_BLOCK_OF_BYTES, ir.Undefined), lanes)
