# SPDX-License-Identifier: Apache-2.0
"""Lines with their spread as an SVG, and nothing else."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 460, 70, 230, 46, 52
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555", "#8c564b")


class Axis:
    """Values of one direction and where they lie."""

    def __init__(self, values, start, end, log):
        self.log, self.start, self.end = log, start, end
        self.low, self.high = min(values), max(values)
        if log:
            self.low, self.high = 10 ** math.floor(math.log10(self.low)), 10 ** math.ceil(math.log10(self.high))
        else:
            self.low = min(0, self.low)
        if self.low == self.high:
            self.high = self.low + 1

    def at(self, value):
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, self.low))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self):
        if self.log:
            return [10.0 ** i for i in range(round(math.log10(self.low)), round(math.log10(self.high)) + 1)]
        step = 10 ** math.floor(math.log10((self.high - self.low) / 4))
        step *= next(factor for factor in (1, 2, 5, 10) if (self.high - self.low) / (step * factor) <= 7)
        return [step * i for i in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def text(x, y, words, anchor="middle", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(words)}</text>'


def axes(x, y, x_label, y_label):
    for tick in x.ticks():
        yield f'<path d="M{x.at(tick):.1f} {y.start}V{y.end}" stroke="#ddd"/>'
        yield text(x.at(tick), y.start + 18, f"{tick:g}" if tick < 1e5 else f"{tick:.0e}".replace("e+0", "e"))
    for tick in y.ticks():
        yield f'<path d="M{x.start} {y.at(tick):.1f}H{x.end}" stroke="#ddd"/>'
        yield text(x.start - 8, y.at(tick) + 4, f"{tick:g}", "end")
    yield f'<path d="M{x.start} {y.end}V{y.start}H{x.end}" stroke="#333" fill="none"/>'
    yield text((x.start + x.end) / 2, y.start + 40, x_label)
    middle = (y.start + y.end) / 2
    yield text(18, middle, y_label, "middle", f'transform="rotate(-90 18 {middle:.1f})"')


def line(x, y, points, colour):
    path = " ".join(f"{x.at(at):.1f},{y.at(middle):.1f}" for at, _, middle, _ in points)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for at, low, middle, high in points:
        yield f'<path d="M{x.at(at):.1f} {y.at(low):.1f}V{y.at(high):.1f}" stroke="{colour}"/>'
        yield f'<circle cx="{x.at(at):.1f}" cy="{y.at(middle):.1f}" r="3" fill="{colour}"/>'


def draw(path, title, x_label, y_label, series, log_x=False, log_y=False):
    """`series`: a name, and for each x the lower quartile, the median and the upper quartile."""
    points = [point for line_points in series.values() for point in line_points]
    x = Axis([point[0] for point in points], LEFT, WIDTH - RIGHT, log_x)
    y = Axis([value for point in points for value in point[1:] if value > 0 or not log_y], HEIGHT - BOTTOM, TOP, log_y)
    parts = [text(LEFT, 24, title, "start", 'font-size="15" font-weight="bold"'), *axes(x, y, x_label, y_label)]
    for i, (name, line_points) in enumerate(series.items()):
        colour, at = COLOURS[i % len(COLOURS)], TOP + 14 + 20 * i
        parts += line(x, y, line_points, colour)
        parts.append(f'<path d="M{WIDTH - RIGHT + 14} {at - 4}h22" stroke="{colour}" stroke-width="3"/>')
        parts.append(text(WIDTH - RIGHT + 42, at, name, "start"))
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">\n'
                    f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n")
