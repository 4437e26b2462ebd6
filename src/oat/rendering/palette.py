"""The palette: an escape time n has the colour with the index n modulo `PALETTE_SIZE`."""

PALETTE_SIZE = 32
"""The number of colours."""

PALETTE = bytes(channel for n in range(PALETTE_SIZE) for channel in (n % 8 * 32, n % 16 * 16, n % 32 * 8))
"""Red, green and blue of each colour, 0 to 255, as a PNG file's palette has them."""
