"""What the peers' scripts share: options, the clock, and the lines of JSON.

A script says what it is in one line, then answers each line on standard input:
{"workload": NAME, "seconds": S} with the median and best seconds of one call, and
{"check": true} with the largest difference from the numbers in the fixtures, for each
workload. `cargo xtask bench --peers` asks; the names are those of `benches/src/workload.rs`.
"""

import argparse
import importlib
import json
import os
import statistics
import sys
import time

SAMPLE_SECONDS = 200e-6
WARM_UP_SECONDS = 0.1
MIN_SAMPLES = 3
SELECTIONS = 3


def options(description):
    """Reads the options; must be called before NumPy is imported, as it sets the threads."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--fixtures", help="safetensors file written by `serve --write`")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="SciPy: run the whole program instead")
    parser.add_argument("--data", default="data/mnist", help="folder with the four MNIST files")
    parser.add_argument("--save-init", help="SciPy: write the start weights (safetensors)")
    arguments = parser.parse_args()
    for name in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{name}_NUM_THREADS"] = str(arguments.threads)
    return arguments


def load(*names):
    """The modules, or one line that says what to install."""
    missing, modules = [], []
    for name in names:
        try:
            modules.append(importlib.import_module(name))
        except ImportError:
            missing.append(name.split(".")[0])
    if missing:
        wanted = " ".join(dict.fromkeys(missing))
        sys.exit(f"error: {sys.executable}: no module {wanted}; install with: "
                 f"{sys.executable} -m pip install {wanted}")
    return modules


def measure(seconds, call):
    """Median, best and number of samples; as `benches/src/measure.rs`."""
    clock = time.perf_counter

    def sample(calls):
        start = clock()
        for _ in range(calls):
            call()
        return clock() - start

    calls, start = 1, clock()
    while sample(calls) < SAMPLE_SECONDS:
        calls *= 2
    while clock() - start < WARM_UP_SECONDS:
        sample(calls)
    samples, start = [], clock()
    while len(samples) < MIN_SAMPLES or clock() - start < seconds:
        samples.append(sample(calls) / calls)
    return {"median": statistics.median(samples), "best": min(samples), "samples": len(samples)}


def best_variant(variants, seconds=0.1):
    """Name and call of the fastest of several ways to do the same, `{name: call}`.

    They are measured in turn, so that a disturbance does not choose.
    """
    if len(variants) == 1:
        return next(iter(variants.items()))
    medians = {name: [] for name in variants}
    for _ in range(SELECTIONS):
        for name, call in variants.items():
            medians[name].append(measure(seconds, call)["median"])
    name = min(medians, key=lambda name: min(medians[name]))
    return name, variants[name]


def difference(found, expected):
    """The largest difference as a fraction of the largest element expected."""
    if found.shape != expected.shape:
        return float("inf")
    return float(abs(found - expected).max() / max(abs(expected).max(), 1e-300))


def serve(program, version, workloads, check):
    """Answers requests until standard input ends.

    `workloads` maps a name to a function that returns the variants of that work;
    `check()` returns the differences per workload.
    """
    def answer(value):
        print(json.dumps(value), flush=True)

    answer({"program": program, "version": version, "workloads": list(workloads)})
    chosen = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "check" in request:
            answer({"differences": check()})
            continue
        name = request["workload"]
        if name not in chosen:
            chosen[name] = best_variant(workloads[name]())
        variant, call = chosen[name]
        answer(measure(request["seconds"], call) | {"variant": variant})
