"""How values look to people; app.js writes them the same way."""

from datetime import datetime


def moment(value: datetime) -> str:
    """A time, to the second."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC"


def seconds(value: float | None) -> str:
    """A duration, in the unit that fits."""
    if value is None:
        return "–"
    if value < 1:
        return f"{value * 1000:.0f} ms" if value >= 0.001 else f"{value * 1000:.2f} ms"  # noqa: PLR2004
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.0f} min"  # noqa: PLR2004


def size(value: int) -> str:
    """The size of a file."""
    return f"{value:,} bytes" if value < 1024 else f"{value / 1024:,.0f} KiB"  # noqa: PLR2004


def number(value: float | None) -> str:
    """A count or a rate."""
    if value is None:
        return "–"
    return f"{value:.1f}" if 0 < value < 10 and value != int(value) else f"{value:,.0f}"  # noqa: PLR2004
