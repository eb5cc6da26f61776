"""Runs an ONNX file on pictures, for whoever compares its answers to those of the model.

    check_onnx.py MODEL.onnx outputs PICTURES ANSWERS
    check_onnx.py MODEL.onnx layers PICTURE ANSWERS

PICTURES are bytes (N, C, H, W). ANSWERS become numbers of 4 bytes, the least significant first: for
each picture the logits and then the probabilities; or what each layer puts out for one picture.
"""

import itertools
import json
import sys

import numpy
import onnx
import onnxruntime


def session_of(model):
    """A session that computes with one thread and prints no warnings."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)


def read_pictures(file, session):
    """The pictures in the form that the model takes."""
    expected = session.get_inputs()[0]
    pictures = numpy.fromfile(file, dtype=numpy.uint8).reshape(-1, *expected.shape[1:])
    if expected.type == "tensor(float)":
        return pictures.astype(numpy.float32) / numpy.float32(255)
    return pictures


def batches(pictures):
    """Batches of several sizes, as the model takes any."""
    start = 0
    for size in itertools.cycle([64, 1, 7]):
        if start >= len(pictures):
            return
        yield pictures[start : start + size]
        start += size


def outputs(model, pictures, answers):
    onnx.checker.check_model(model, full_check=True)
    session = session_of(model)
    with open(answers, "wb") as file:
        for batch in batches(read_pictures(pictures, session)):
            both = session.run(["logits", "probabilities"], {"input": batch})
            numpy.concatenate(both, axis=1).astype("<f4").tofile(file)


def layers(model, picture, answers):
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if "layers" not in metadata:
        sys.exit("error: expected one network, found a committee")
    names = json.loads(metadata["layers"])
    # What a layer puts out becomes an output of the model.
    known = {"input"} | {value.name for value in model.graph.output}
    for value in model.graph.value_info:
        if value.name in names and value.name not in known:
            model.graph.output.append(value)
    session = session_of(model)
    picture = read_pictures(picture, session)[:1]
    computed = [name for name in dict.fromkeys(names) if name != "input"]
    values = dict(zip(computed, session.run(computed, {"input": picture})))
    values["input"] = picture
    with open(answers, "wb") as file:
        for name in names:
            values[name].astype("<f4").tofile(file)


if __name__ == "__main__":
    path, what, pictures, answers = sys.argv[1:]
    {"outputs": outputs, "layers": layers}[what](onnx.load(path), pictures, answers)
