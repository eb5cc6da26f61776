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


def answers_of(pictures):
    """The logits, which are what comes before a last sigmoid or softmax, and the probabilities."""
    outputs = logits = predict.outputs(pictures)
    ends = [getattr(predict, name, None) for name in ("sigmoid", "softmax")]
    if predict.LAYERS[-1] in ends:
        logits = predict.run(predict.LAYERS[:-1], predict.numbers(pictures))
    logits = logits.reshape(len(pictures), -1)
    return np.concatenate([logits, predict.probabilities(outputs)], axis=1)


pictures = np.fromfile(pictures, np.uint8).reshape(-1, *predict.PICTURE)
if what == "outputs":
    parts = (answers_of(pictures[at:at + 250]) for at in range(0, len(pictures), 250))
else:
    parts = trace(predict.LAYERS, predict.numbers(pictures))
with open(answers, "wb") as file:
    for part in parts:
        file.write(part.astype("<f4").tobytes())
