"""Words of 64 bits for numba: compare 64 bytes at once, find the lowest bit of a word, store a word.

All functions can be called in compiled code only, on processors that store the lowest byte first, as x86 and ARM.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

_BYTES = ir.VectorType(ir.IntType(8), 64)
_WORD = ir.IntType(64)


@intrinsic
def repeats(_typing: Any, array: Any, index: Any) -> Any:
    """Compare 64 bytes with those before them: bit k is set if array[index + k] == array[index + k − 1]."""

    def build(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        array, index = values
        before = builder.sub(index, ir.Constant(_WORD, 1))
        addresses = (builder.bitcast(builder.gep(array, [i]), _BYTES.as_pointer()) for i in (index, before))
        equal = builder.icmp_unsigned("==", *(builder.load(address, align=1) for address in addresses))
        return builder.bitcast(equal, _WORD)

    return types.int64(array, types.int64), build


@intrinsic
def lowest_bit(_typing: Any, word: Any) -> Any:
    """Return the position of the lowest bit that is set, 0 to 63, or 64 if there is none."""

    def build(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), build


@intrinsic
def store_word(_typing: Any, array: Any, index: Any, word: Any) -> Any:
    """Store a word in array[index] to array[index + 7], the lowest 8 bits first."""

    def build(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        array, index, word = values
        address = builder.bitcast(builder.gep(array, [index]), _WORD.as_pointer())
        builder.store(word, address, align=1)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), build
