"""Says what pictures show: python predict.py PICTURE ...

The formulas of a trained network, in NumPy alone, with the weights beside this file. A picture is
an array of bytes (.npy) or, with Pillow installed, a picture file.
"""
#: imports

#: constants
weights = np.load(Path(__file__).with_name("weights.npz"))
W = {name: weights[name].astype(float) for name in weights.files}


#: functions


# What each layer makes of x (N, ...), and the shape of that for each of the N pictures.
LAYERS = [
#: layers
]


def run(layers, x):
    for layer in layers:
        x = layer(x)
    return x


#: numbers


def outputs(pictures):
    """The network's outputs for pictures (N, C, H, W) of bytes."""
    return #: outputs


def probabilities(outputs):
    """The probabilities of the classes, which add up to 1."""
#: probabilities


#: read


if __name__ == "__main__":
    for file in sys.argv[1:] or sys.exit(__doc__):
        for answer in probabilities(outputs(read(file))):
            best = answer.argmax()
            print(f"{file}: {CLASSES[best]} with probability {answer[best]:.3f}")
