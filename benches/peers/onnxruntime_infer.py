"""ONNX Runtime on the CPU: predictions of each network, from a graph built by hand."""

import protocol

ARGUMENTS = protocol.options(__doc__)
numpy, onnx, onnxruntime, safetensors = protocol.load(
    "numpy", "onnx", "onnxruntime", "safetensors.numpy")

FIXTURES = safetensors.load_file(ARGUMENTS.fixtures)


def convolution(at):
    return [("Conv", [f"{at}.weight", f"{at}.bias"], {})]


def dense(at):
    return [("Gemm", [f"{at}.weight", f"{at}.bias"], {"transB": 1})]


POOL = [("Relu", [], {}), ("MaxPool", [], {"kernel_shape": [2, 2], "strides": [2, 2]})]

# Operator, weights and attributes, first to last. An untied bias is an addition of its own.
GRAPHS = {
    "notebook": [("Conv", ["0.weight"], {}), ("Add", ["0.bias"], {}), ("Sigmoid", [], {}),
                 ("Flatten", [], {}), *dense(3), ("Tanh", [], {}), *dense(5),
                 ("Sigmoid", [], {})],
    "lenet": [*convolution(0), *POOL, *convolution(3), *POOL, ("Flatten", [], {}), *dense(7),
              ("Relu", [], {}), *dense(9)],
}


def session(model):
    nodes, last, constants = [], "input", []
    for index, (operator, names, attributes) in enumerate(GRAPHS[model]):
        constants += names
        output = "output" if index + 1 == len(GRAPHS[model]) else f"value{index}"
        nodes.append(onnx.helper.make_node(operator, [last, *names], [output], **attributes))
        last = output
    initializers = [onnx.numpy_helper.from_array(FIXTURES[f"{model}/{name}"], name)
                    for name in constants]
    number = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes, model,
        [onnx.helper.make_tensor_value_info("input", number, ["N", 1, 28, 28])],
        [onnx.helper.make_tensor_value_info("output", number, ["N", 10])],
        initializers)
    opset = [onnx.helper.make_opsetid("", 17)]
    proto = onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)
    onnx.checker.check_model(proto)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = ARGUMENTS.threads
    settings.inter_op_num_threads = 1
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(proto.SerializeToString(), settings, providers=providers)


def prediction(model, count):
    images = FIXTURES[f"{model}/images"]
    images = numpy.tile(images, (-(-count // len(images)), 1, 1, 1))[:count]
    images = images.astype(numpy.float32) / numpy.float32(255)
    parts = [images[start:start + 1000] for start in range(0, count, 1000)]
    runner = session(model)
    return {"graph": lambda: [runner.run(["output"], {"input": part})[0] for part in parts]}


def check():
    return {f"predict/{model}/1": protocol.difference(
                prediction(model, 1)["graph"]()[0], FIXTURES[f"predict/{model}/1/result"])
            for model in models()}


def models():
    return [model for model in GRAPHS if f"predict/{model}/1/result" in FIXTURES]


protocol.serve(
    "ONNX Runtime", onnxruntime.__version__,
    {f"predict/{model}/{count}": lambda model=model, count=count: prediction(model, count)
     for model in models() for count in (1, 10_000)},
    check)
