"""Runs an exported network: check.py FOLDER outputs|layers PICTURES ANSWERS"""
import sys

import numpy as np
import torch

folder, what, pictures, answers = sys.argv[1:]
sys.path.insert(0, folder)
import model
import predict

trained = predict.load()
pictures = np.fromfile(pictures, np.uint8).reshape(-1, *model.PICTURE)
with open(answers, "wb") as file, torch.inference_mode():

    def write(numbers):
        file.write(numbers.numpy().astype("<f4").tobytes())

    def watch(layers):
        """Writes what each layer puts out, those inside a block before the block itself."""
        for layer in layers:
            if isinstance(layer, torch.nn.Sequential):
                watch(layer)
            layer.register_forward_hook(lambda layer, x, y: write(y))

    def answers_of(pictures):
        """The logits, which come before a last sigmoid or softmax, and the probabilities."""
        x = model.numbers(pictures)
        outputs = logits = trained(x)
        if isinstance(trained[-1], (torch.nn.Sigmoid, torch.nn.Softmax)):
            logits = trained[:-1](x)
        return torch.cat([logits.flatten(1), model.probabilities(outputs)], dim=1)

    if what == "layers":
        watch(trained)
        trained(model.numbers(pictures))
    else:
        for at in range(0, len(pictures), 250):
            write(answers_of(pictures[at:at + 250]))
