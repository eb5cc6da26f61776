"""Runs an exported network: check.py FOLDER outputs|layers PICTURES ANSWERS"""
import sys

import numpy as np

folder, what, pictures, answers = sys.argv[1:]
sys.path.insert(0, folder)
import predict


def trace(layers, x):
    """What each layer puts out, those inside a block before the block itself."""
    for layer in layers:
        if isinstance(layer, list):
            yield from trace(layer, x)
        x = layer(x)
        yield x


pictures = np.fromfile(pictures, np.uint8).reshape(-1, *predict.PICTURE)
if what == "outputs":
    parts = (predict.outputs(pictures[at:at + 250]) for at in range(0, len(pictures), 250))
else:
    parts = trace(predict.LAYERS, predict.numbers(pictures))
with open(answers, "wb") as file:
    for part in parts:
        file.write(part.astype("<f4").tobytes())
