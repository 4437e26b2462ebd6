"""The prefix code of the PNG files: the bits that stand for a byte, for a match or for the end of the data.

DEFLATE (RFC 1951) writes frequent symbols with fewer bits than rare ones. A block begins with the lengths, so
that each may have a code of its own. Here all have the same one: its symbols are the differences of pixels to
those above them, which are distributed alike in all Julia sets. With a code for each image the files would be 1%
smaller, and each image would be read twice. `benchmarks/prefix_code.py` computed the lengths, from 400 random
tasks of the producer's defaults.
"""

from functools import cache
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from oat.rendering.palette import PALETTE_SIZE

END = 256
"""The symbol for the end of the data. The symbols below are bytes, those above are lengths of matches."""

MIN_MATCH, MAX_MATCH = 3, 258
"""The lengths of a match, in bytes. The distance of all matches is 1: they repeat the byte before them."""

EXTRA_BITS = [0] * 8 + [bits for bits in range(1, 6) for _ in range(4)] + [0]
"""For each symbol from 257 on, the number of bits that follow it, to tell the lengths that share it apart."""

CODE_LENGTHS = [
    int(digit, 16)
    for digit in (
        "234666777778888888888889999999ab"  # the differences from 0 to 31,
        + "0" * (END + 1 - 2 * PALETTE_SIZE)  # none of these,
        + "aa99999998888888888887777776653"  # from −31 to −1, modulo 256
        + "b"  # the end
        + "07788889888988898899888888896"  # the lengths of matches, from 4 to 258
    )
]
"""The number of bits of each symbol, 0 for those that never occur."""

LONGEST_LITERAL = max(CODE_LENGTHS[:END])
"""Bits of the rarest byte: no image, not even noise, takes more a pixel."""

SIZE_BITS = 5
"""How many bits of an element of `code_table` are the number of the others."""

_DISTANCE_BITS = 1
"""At the end of a match: the code of the only distance is one bit, which is 0."""

_NEVER, _MIN_NEVER, _MAX_NEVER = 18, 11, 138
"""In the block's header: so many symbols in a row that never occur; 7 bits follow that tell how many."""

_LENGTHS_OF_LENGTHS = dict.fromkeys((*range(15), _NEVER), 4)
"""The code for `CODE_LENGTHS` in the block's header, as plain as can be: 4 bits each."""

_ORDER = 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15
"""The order in which the block's header has `_LENGTHS_OF_LENGTHS`."""


@cache
def code_table() -> NDArray[np.int32]:
    """Return the bits for each byte at its index, for the end at `END`, for a match at `END` plus its length.

    The lowest `SIZE_BITS` bits of an element are the number of bits to write; those above are the bits themselves,
    from the lowest on.
    """
    table = np.zeros(END + MAX_MATCH + 1, np.int32)
    codes = _canonical_code(dict(enumerate(CODE_LENGTHS)))
    for symbol in range(END + 1):
        code, bits = codes.get(symbol, (0, 0))
        table[symbol] = code << SIZE_BITS | bits
    length = MIN_MATCH
    for symbol, extra_bits in enumerate(EXTRA_BITS, END + 1):
        code, bits = codes.get(symbol, (0, 0))
        if symbol == len(CODE_LENGTHS) - 1:
            length = MAX_MATCH  # which the symbol before could have told as well
        for extra in range(2**extra_bits):
            table[END + length] = (code | extra << bits) << SIZE_BITS | bits + extra_bits + _DISTANCE_BITS
            length += 1
    return table


@cache
def block_header() -> tuple[int, int]:
    """Return the header of the only block as a number, whose lowest bit is the first; and the number of bits."""
    number = count = 0

    def write(value: int, bits: int) -> None:
        nonlocal number, count
        number |= value << count
        count += bits

    write(0b10_1, 3)  # a block with a code of its own, and the last one
    write(len(CODE_LENGTHS) - 257, 5)
    write(1 - 1, 5)  # one code for distances
    write(len(_ORDER) - 4, 4)
    for length in _ORDER:
        write(_LENGTHS_OF_LENGTHS.get(length, 0), 3)
    codes = _canonical_code(_LENGTHS_OF_LENGTHS)
    for length, group in groupby([*CODE_LENGTHS, 1]):  # the last one is that of the distance
        repeats = len(list(group))
        while length == 0 and repeats >= _MIN_NEVER:
            never = min(repeats, _MAX_NEVER)
            write(*codes[_NEVER])
            write(never - _MIN_NEVER, 7)
            repeats -= never
        for _ in range(repeats):
            write(*codes[length])
    return number, count


def _canonical_code(lengths: dict[int, int]) -> dict[int, tuple[int, int]]:
    """Return the code of RFC 1951, 3.2.2: the bits of each symbol, the first one lowest, and how many."""
    code = 0
    codes = {}
    longest = max(lengths.values())
    for length in range(1, longest + 1):
        for symbol, its_length in sorted(lengths.items()):
            if its_length == length:
                codes[symbol] = int(f"{code:0{length}b}"[::-1], 2), length
                code += 1
        code <<= 1
    return codes
