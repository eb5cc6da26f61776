#!/usr/bin/env python3
"""Prints a table of runs, one line for all seeds of an experiment.

    python3 scripts/table.py runs/docs/fast*

Each argument is a run's folder; its `summary.json` is read. The lines are sorted by the
mean of the last epoch's test accuracy, the best one first.
"""

import json
import sys
from pathlib import Path


def main(folders):
    runs = {}
    for folder in folders:
        summary = json.loads((Path(folder) / "summary.json").read_text())
        runs.setdefault(summary["preset"], []).append(summary)
    print("| experiment | seeds | test images right after the last epoch | mean |")
    print("|---|---|---|--:|")
    for name, summaries in sorted(runs.items(), key=lambda run: -mean(run[1])):
        summaries.sort(key=lambda summary: summary["seed"])
        seeds = ", ".join(str(summary["seed"]) for summary in summaries)
        each = ", ".join(f"{100 * summary['test_accuracy']:.2f}" for summary in summaries)
        print(f"| `{name}` | {seeds} | {each} | {100 * mean(summaries):.2f} % |")


def mean(summaries):
    return sum(summary["test_accuracy"] for summary in summaries) / len(summaries)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
