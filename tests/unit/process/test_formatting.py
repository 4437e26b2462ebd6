"""How numbers are shown to people."""

from oat.process.formatting import format_duration, format_number, format_size


def test_formatted_values():
    assert [format_duration(value) for value in (None, 0.0004, 0.02, 1.5, 300)] == [
        "–",
        "0.40 ms",
        "20 ms",
        "1.5 s",
        "5 min",
    ]
    assert [format_size(value) for value in (12, 20480)] == ["12 bytes", "20 KiB"]
    assert [format_number(value) for value in (None, 0, 3, 3.25, 1234567)] == ["–", "0", "3", "3.2", "1,234,567"]
