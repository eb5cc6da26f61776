#!/usr/bin/env python3
"""Draws learning curves of training runs as an SVG picture.

    python3 scripts/plot_curves.py OUT.svg [--what KEY] [--title TEXT] LABEL=FOLDER...

needs only the standard library. Each FOLDER is a run's; its `metrics.jsonl` is read.
Runs with the same LABEL are one curve: their mean, in a band from the lowest to the highest.
KEY is what is drawn over the epochs:

    accuracy      test images right, in per cent (the default)
    test_error    mean loss of the test images
    train_error   mean loss of the training images, as they were met
"""

import argparse
import json
import math
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 44, 48
# Of a palette that colour-blind readers can tell apart (Okabe and Ito).
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555"]
AXES = {
    "accuracy": "test images right, %",
    "test_error": "mean loss of the test images",
    "train_error": "mean loss of the training images",
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--what", choices=AXES, default="accuracy")
    parser.add_argument("--title", default="")
    parser.add_argument("runs", nargs="+", metavar="LABEL=FOLDER")
    arguments = parser.parse_args()
    curves = {}
    for run in arguments.runs:
        label, separator, folder = run.partition("=")
        if not separator:
            parser.error(f"expected LABEL=FOLDER, found {run!r}")
        curves.setdefault(label, []).append(read(Path(folder), arguments.what))
    arguments.out.write_text(picture(curves, arguments.title, AXES[arguments.what]))


def read(folder, what):
    """The value after each epoch."""
    values = []
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        metrics = json.loads(line)
        # Of a run with validation images, only the last line has the others.
        part = "validation" if "validation_total" in metrics else "test"
        if what == "accuracy":
            values.append(100 * metrics[f"{part}_correct"] / metrics[f"{part}_total"])
        else:
            values.append(metrics[what.replace("test", part)])
    return values


def picture(curves, title, axis):
    numbers = [value for runs in curves.values() for values in runs for value in values]
    ticks = round_numbers(min(numbers), max(numbers))
    epochs = max(len(values) for runs in curves.values() for values in runs)
    low, high = ticks[0], ticks[-1]

    def x(epoch):
        return LEFT + (WIDTH - LEFT - RIGHT) * (epoch - 1) / max(epochs - 1, 1)

    def y(value):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)

    body = [*frame(ticks, epochs, x, y), text(LEFT, 24, title, "start", "bold")]
    body.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "epoch", "middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turn = f'transform="rotate(-90 16 {middle:.1f})"'
    body.append(text(16, middle, axis, "middle", extra=turn))
    for (runs, colour) in zip(curves.values(), COLOURS * len(curves)):
        body += curve(runs, colour, x, y)
    body += labels(curves, x, y)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="13">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            *body,
            "</svg>\n",
        ]
    )


def frame(ticks, epochs, x, y):
    """Lines at the ticks of the vertical axis, and the numbers of both axes."""
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    for tick in ticks:
        yield line(x(1), y(tick), x(epochs), y(tick), "#dddddd")
        yield text(x(1) - 8, y(tick) + 4, f"{tick:.{digits}f}", "end")
    step = max(1, round(epochs / 8))
    for epoch in range(1, epochs + 1, step):
        yield line(x(epoch), y(ticks[0]), x(epoch), y(ticks[0]) + 5, "#555555")
        yield text(x(epoch), y(ticks[0]) + 20, str(epoch), "middle")
    yield line(x(1), y(ticks[0]), x(epochs), y(ticks[0]), "#555555")


def curve(runs, colour, x, y):
    """The mean of the runs, in a band from the lowest to the highest."""
    columns = list(enumerate(zip(*runs), start=1))
    if len(runs) > 1:
        upper = [(x(epoch), y(max(values))) for epoch, values in columns]
        lower = [(x(epoch), y(min(values))) for epoch, values in reversed(columns)]
        yield f'<polygon points="{points(upper + lower)}" fill="{colour}" opacity="0.2"/>'
    means = [(x(epoch), y(sum(values) / len(values))) for epoch, values in columns]
    style = f'fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"'
    yield f'<polyline points="{points(means)}" {style}/>'
    for at in means:
        yield f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="2.5" fill="{colour}"/>'


def labels(curves, x, y):
    """Each curve's name at its end, in an order and at distances that can be read."""
    ends = []
    for (label, runs), colour in zip(curves.items(), COLOURS * len(curves)):
        last = [values[-1] for values in runs]
        place = x(max(len(values) for values in runs))
        ends.append([y(sum(last) / len(last)), place, label, colour])
    ends.sort()
    for above, end in zip(ends, ends[1:]):
        end[0] = max(end[0], above[0] + 16)
    below = ends[-1][0] - (HEIGHT - BOTTOM)
    for end in ends:
        height = end[0] - max(below, 0)
        yield text(end[1] + 8, height + 4, end[2], "start", fill=end[3])


def round_numbers(low, high):
    """Four to ten round numbers that enclose both, ascending."""
    span = (high - low) or abs(high) or 1.0
    size = 10.0 ** math.floor(math.log10(span))
    step = next(size * part for part in (0.1, 0.2, 0.5, 1, 2) if span / (size * part) <= 8)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * place for place in range(first, max(last, first + 1) + 1)]


def line(x1, y1, x2, y2, colour):
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}"/>'


def text(x, y, words, anchor, weight="normal", fill="#222222", extra=""):
    style = f'text-anchor="{anchor}" font-weight="{weight}" fill="{fill}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style} {extra}>{escape(words)}</text>'


def points(places):
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


if __name__ == "__main__":
    main()
