"""The colours of a picture: n, the number of steps, shows modulo 32."""

COLOURS = 32
"""So many colours there are, from n = 0 on."""

PALETTE = bytes(channel for n in range(COLOURS) for channel in (n % 8 * 32, n % 16 * 16, n % 32 * 8))
"""Red, green and blue of each of them."""
