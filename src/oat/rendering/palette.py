"""The colours of a picture: n, the number of steps, shows modulo 32."""

PALETTE_SIZE = 32
"""So many colours there are, from n = 0 on."""

PALETTE = bytes(channel for n in range(PALETTE_SIZE) for channel in (n % 8 * 32, n % 16 * 16, n % 32 * 8))
"""Red, green and blue of each of them."""
