"""How times, durations, sizes and numbers are formatted for people; `web/static/app.js` formats them alike."""

from datetime import datetime


def format_time(value: datetime) -> str:
    """Format a time in UTC, to the second: "2026-01-31 12:00:00 UTC"."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC"


def format_duration(seconds: float | None) -> str:
    """Format a duration in milliseconds, seconds or minutes, whichever fits; None is a dash."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 else f"{seconds * 1000:.2f} ms"  # noqa: PLR2004
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"  # noqa: PLR2004


def format_size(size: int) -> str:
    """Format a size given in bytes, in bytes or KiB."""
    return f"{size:,} bytes" if size < 1024 else f"{size / 1024:,.0f} KiB"  # noqa: PLR2004


def format_number(number: float | None) -> str:
    """Format a count or a rate, with one decimal place if it is below 10 and not whole; None is a dash."""
    if number is None:
        return "–"
    return f"{number:.1f}" if 0 < number < 10 and number != int(number) else f"{number:,.0f}"  # noqa: PLR2004
