"""Says what pictures show: python predict.py PICTURE ...

A picture is an array of bytes (.npy) or, with Pillow installed, a picture file.
"""
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from model import CLASSES, PICTURE, network, numbers, probabilities


def load():
    """The network with what it learned, ready to predict."""
    trained = network()
    trained.load_state_dict(load_file(Path(__file__).with_name("model.safetensors")), strict=True)
    return trained.eval()


#: read


if __name__ == "__main__":
    trained = load()
    for file in sys.argv[1:] or sys.exit(__doc__):
        with torch.inference_mode():
            answers = probabilities(trained(numbers(read(file))))
        for answer in answers:
            best = int(answer.argmax())
            print(f"{file}: {CLASSES[best]} with probability {answer[best]:.3f}")
