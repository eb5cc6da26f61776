"""A trained network: its layers, its classes, and how a picture becomes its input."""
#: imports

#: constants
#: classes


def network():
    """The network, with weights drawn at random; model.safetensors has those that it learned."""
    return #: network


#: numbers


def probabilities(outputs):
    """The probabilities of the classes, which add up to 1."""
#: probabilities
