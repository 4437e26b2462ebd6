"""Computes the lengths of the prefix code of the PNG files, from random tasks: `python benchmarks/prefix_code.py`.

What it prints is `CODE_LENGTHS` of `oat.rendering.prefix_code`, a hexadecimal digit each.
"""

import argparse
import heapq
import random
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from oat.rendering.deflate import MIN_RUN, UP
from oat.rendering.escape_time import palette_indices
from oat.rendering.palette import PALETTE_SIZE
from oat.rendering.prefix_code import CODE_LENGTHS, END, EXTRA_BITS, MAX_MATCH, MIN_MATCH
from oat.services import Ranges, random_task


def main() -> None:
    """Count the symbols of random tasks and print the lengths of their Huffman code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=400, help="images of which the symbols are counted")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random tasks")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    counts: Counter[int] = Counter()
    for _ in range(options.tasks):
        counts += symbols(palette_indices(random_task(Ranges(), rng)))
    # What can occur needs a code even if it has not.
    counts.update(difference % 256 for difference in range(1 - PALETTE_SIZE, PALETTE_SIZE))
    counts.update(symbol_of_length(length) for length in range(MIN_RUN, MAX_MATCH + 1))
    lengths = huffman_lengths(counts)
    digits = "".join(f"{lengths.get(symbol, 0):x}" for symbol in range(len(CODE_LENGTHS)))
    print(digits[:PALETTE_SIZE], digits[257 - PALETTE_SIZE : END], digits[END], digits[END + 1 :])


def symbols(image: NDArray[np.uint8]) -> Counter[int]:
    """Count the symbols that `oat.rendering.deflate` writes for an image."""
    rows = np.full((image.shape[0], 1 + image.shape[1]), UP, np.uint8)
    rows[:, 1:] = np.diff(image, axis=0, prepend=np.zeros_like(image[:1]))
    data = rows.ravel()
    starts = np.flatnonzero(np.diff(data, prepend=~data[0]))
    repetitions = np.diff(starts, append=data.size) - 1
    matches, rest = np.divmod(repetitions, MAX_MATCH)
    is_match = rest >= MIN_RUN
    counts = Counter({symbol_of_length(MAX_MATCH): int(matches.sum()), END: 1})
    for length, count in enumerate(np.bincount(rest[is_match])):
        if count:
            counts[symbol_of_length(length)] += int(count)
    literals = np.bincount(data[starts], weights=1 + np.where(is_match, 0, rest), minlength=256)
    return counts + Counter(dict(enumerate(literals.astype(int).tolist())))


def symbol_of_length(length: int) -> int:
    """Return the symbol for a match of this length."""
    if length == MAX_MATCH:
        return len(CODE_LENGTHS) - 1
    first = MIN_MATCH
    for symbol, bits in enumerate(EXTRA_BITS, END + 1):
        if length < first + 2**bits:
            return symbol
        first += 2**bits
    raise ValueError(length)


def huffman_lengths(counts: Counter[int]) -> dict[int, int]:
    """Return the number of bits of each symbol in the Huffman code for these counts."""
    lengths = dict.fromkeys(counts, 0)
    subtrees = [(count, symbol, [symbol]) for symbol, count in counts.items()]
    heapq.heapify(subtrees)
    while len(subtrees) > 1:
        (count, _, left), (other, symbol, right) = heapq.heappop(subtrees), heapq.heappop(subtrees)
        for each in (*left, *right):
            lengths[each] += 1
        heapq.heappush(subtrees, (count + other, symbol, left + right))
    return lengths


if __name__ == "__main__":
    main()
