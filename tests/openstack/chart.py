"""Draws what was measured over time as an SVG: a panel for each quantity, on a common axis of time."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from math import ceil

WIDTH, LEFT, RIGHT = 760, 64, 16  # pixels: of the picture, and of its margins
PANEL, GAP, TOP, BOTTOM = 120, 34, 70, 40
STEP_SECONDS = 60  # between two marks of the axis of time


@dataclass(frozen=True)
class Panel:
    """A quantity: what it is, its values at the times, whether it goes from one value to the next in a step."""

    title: str
    colour: str
    points: list[tuple[float, float]]  # seconds, value
    is_stepped: bool = False


def draw(title: str, subtitle: str, panels: list[Panel], marks: list[tuple[float, str]]) -> str:
    """The picture; `marks` are moments with a name, vertical lines through all panels."""
    seconds = max(time for panel in panels for time, _ in panel.points)
    height = TOP + len(panels) * (PANEL + GAP) + BOTTOM - GAP
    bottom = height - BOTTOM

    def x(time: float) -> float:
        return round(LEFT + time / seconds * (WIDTH - LEFT - RIGHT), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' font-family="sans-serif" font-size="12" fill="#333">'
        f'<title>{escape(title)}</title><rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{LEFT}" y="20" font-size="15" font-weight="bold">{escape(title)}</text>',
        f'<text x="{LEFT}" y="38" fill="#666">{escape(subtitle)}</text>',
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, TOP + number * (PANEL + GAP), x)
    for time in range(0, int(seconds) + 1, STEP_SECONDS):
        parts.append(f'<text x="{x(time)}" y="{bottom + 16}" text-anchor="middle" fill="#666">{time // 60}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{bottom + 32}" text-anchor="end" fill="#666">minutes</text>')
    for level, (time, name) in enumerate(marks):
        anchor, side = ("start", 3) if x(time) < WIDTH * 0.8 else ("end", -3)
        place = f'x="{x(time) + side}" y="{TOP + 11 + 13 * (level % 3)}" text-anchor="{anchor}"'
        parts.append(f'<path d="M{x(time)} {TOP}V{bottom}" stroke="#999" stroke-dasharray="3 3"/>')
        parts.append(f'<text {place} fill="#666" font-size="10">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel, top: float, x: object) -> list[str]:
    assert callable(x)
    highest = max(1, ceil(max(value for _, value in panel.points)))

    def y(value: float) -> float:
        return round(top + PANEL - value / highest * PANEL, 1)

    first, *others = panel.points
    path, before = f"M{x(first[0])} {y(first[1])}", first[1]
    for time, value in others:
        path += f"V{y(before)}H{x(time)}V{y(value)}" if panel.is_stepped else f"L{x(time)} {y(value)}"
        before = value
    return [
        f'<text x="{LEFT}" y="{top - 7}" font-weight="bold" fill="{panel.colour}">{escape(panel.title)}</text>',
        f'<path d="M{LEFT} {top}H{WIDTH - RIGHT}M{LEFT} {top + PANEL}H{WIDTH - RIGHT}" stroke="#ddd"/>',
        f'<text x="{LEFT - 6}" y="{top + 9}" text-anchor="end" fill="#666">{highest}</text>',
        f'<text x="{LEFT - 6}" y="{top + PANEL}" text-anchor="end" fill="#666">0</text>',
        f'<path d="{path}" fill="none" stroke="{panel.colour}" stroke-width="2"/>',
    ]
