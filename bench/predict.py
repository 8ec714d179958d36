"""What one answer of a kept model costs: from an encoded row, and from a dict to a label with its probability.

    python bench/predict.py [--quick] [--turns 7] [--rows 2000] [--milliseconds 300]

The model is an MLP of 64 and 64 for a table with 8 numbers and 3 categories, kept in a file and loaded again by gipi.
Encoded rows are arrays that the network takes as they are. Peers answer a dict as is usual: a frame of one row,
scikit-learn's preprocessing, the network. `answer` is gipi's way for one row; where a version has none, `answers`.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from typing import Any

from turns import Bench, Figure, Turn, arguments, hold

NUMBERS = [f"n{number}" for number in range(8)]
CATEGORIES = {"town": ("Seoul", "Busan", "Daegu", "Jeju"), "kind": ("a", "b", "c"), "colour": ("red", "green", "blue")}
HIDDEN = (64, 64)


def table(rows: int) -> dict[str, Any]:
    """Columns, with the label last."""
    import numpy as np

    draw = np.random.default_rng(0)
    columns: dict[str, Any] = {name: draw.normal(size=rows).round(3) for name in NUMBERS}
    columns |= {name: draw.choice(values, rows) for name, values in CATEGORIES.items()}
    is_high = columns["n0"] * columns["n1"] + (columns["town"] == "Seoul") + draw.normal(size=rows) > 0.3
    return {**columns, "label": np.where(is_high, "high", "low")}


def row_of(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: values[0].item() for name, values in columns.items() if name != "label"}


def repeated(answer: Callable[[], Any], options: argparse.Namespace) -> Turn:
    """Microseconds of one answer, over so many milliseconds; once before, to warm up."""
    answer()

    def turn() -> dict[str, float]:
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < options.milliseconds / 1000:
            answer()
            count += 1
        return {"time": (time.perf_counter() - began) / count * 1e6}

    return turn


# --- gipi


def kept(options: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """A model that was kept and loaded again, and a row for it."""
    import polars as pl
    import torch

    import gipi

    torch.set_num_threads(options.threads)
    columns = table(options.rows)
    with tempfile.TemporaryDirectory() as folder:
        run = gipi.fit(
            pl.DataFrame(columns),
            target="label",
            system="mlp",
            hidden=HIDDEN,
            epochs=3,
            verdict=False,
            quiet=True,
            run=f"{folder}/run",
        )
        return gipi.load(run.save(f"{folder}/kept.gipi")), row_of(columns)


def ours_encoded(options: argparse.Namespace) -> Turn:
    from gipi.release.rows import as_rows

    model, row = kept(options)
    (x,) = model.encode(as_rows(model.schema, row))
    answer = getattr(model, "answer", None)
    if answer is None:
        return repeated(lambda: model.answers(x), options)
    one = x.numpy()[0]
    return repeated(lambda: answer(one), options)


def ours_dict(options: argparse.Namespace) -> Turn:
    model, row = kept(options)
    assert set(model.predict(row)[0]) >= {"label", "probability"}, model.predict(row)
    return repeated(lambda: model.predict(row), options)


# --- peers


def encoder(options: argparse.Namespace) -> tuple[Any, Any, Any, dict[str, Any]]:
    """scikit-learn's preprocessing, fitted; encoded rows, labels, and a row as a dict."""
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = table(options.rows)
    frame = pd.DataFrame(columns)
    preprocess = ColumnTransformer(
        [("numbers", StandardScaler(), NUMBERS), ("categories", OneHotEncoder(sparse_output=False), [*CATEGORIES])]
    )
    x = preprocess.fit_transform(frame.drop(columns="label")).astype("float32")
    return preprocess, x, frame["label"].to_numpy(), row_of(columns)


def network(inputs: int) -> Any:
    from torch import nn

    return nn.Sequential(nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)).eval()


def torch_encoded(options: argparse.Namespace) -> Turn:
    import torch

    torch.set_num_threads(options.threads)
    _preprocess, x, _labels, _row = encoder(options)
    net, one = network(x.shape[1]), torch.from_numpy(x[:1])

    def answer() -> Any:
        with torch.inference_mode():
            return net(one).softmax(1)

    return repeated(answer, options)


def onnx_encoded(options: argparse.Namespace) -> Turn:
    """The same network in ONNX Runtime, written by hand: an exporter needs more packages."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    _preprocess, x, _labels, _row = encoder(options)
    state = {name: tensor.detach().numpy() for name, tensor in network(x.shape[1]).state_dict().items()}
    names = ["x", "a", "b", "c", "d", "e", "probability"]
    nodes = []
    for place, kind in enumerate(("Gemm", "Relu", "Gemm", "Relu", "Gemm", "Softmax")):
        weights = [f"{place}.weight", f"{place}.bias"] if kind == "Gemm" else []
        more = {"transB": 1} if kind == "Gemm" else {}
        nodes.append(helper.make_node(kind, [names[place], *weights], [names[place + 1]], **more))
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, x.shape[1]])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 2])],
        [numpy_helper.from_array(array, name) for name, array in state.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = options.threads
    session = onnxruntime.InferenceSession(made.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    one = {"x": x[:1]}
    return repeated(lambda: session.run(None, one), options)


def keras_model(inputs: int) -> Any:
    import keras

    layers = [keras.layers.Dense(width, activation="relu") for width in HIDDEN]
    return keras.Sequential([keras.Input((inputs,)), *layers, keras.layers.Dense(2, activation="softmax")])


def keras_predict(options: argparse.Namespace) -> Turn:
    _preprocess, x, _labels, _row = encoder(options)
    model, one = keras_model(x.shape[1]), x[:1]
    return repeated(lambda: model.predict(one, verbose=0), options)


def keras_call(options: argparse.Namespace) -> Turn:
    """What Keras' documentation advises for small inputs: `model(x)` in place of `model.predict(x)`."""
    import keras

    _preprocess, x, _labels, _row = encoder(options)
    model, one = keras_model(x.shape[1]), x[:1]
    return repeated(lambda: keras.ops.convert_to_numpy(model(one, training=False)), options)


def keras_dict(options: argparse.Namespace) -> Turn:
    import pandas as pd

    preprocess, x, labels, row = encoder(options)
    model, values = keras_model(x.shape[1]), sorted(set(labels))

    def answer() -> dict[str, Any]:
        encoded = preprocess.transform(pd.DataFrame([row])).astype("float32")
        (probability,) = model.predict(encoded, verbose=0)
        best = probability.argmax()
        return {"label": values[best], "probability": float(probability[best])}

    return repeated(answer, options)


def scikit_learn_dict(options: argparse.Namespace) -> Turn:
    import warnings

    import pandas as pd
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore")  # that the epochs were few
    preprocess, x, labels, row = encoder(options)
    net = MLPClassifier(HIDDEN, max_iter=3).fit(x, labels)

    def answer() -> dict[str, Any]:
        (probability,) = net.predict_proba(preprocess.transform(pd.DataFrame([row])).astype("float32"))
        best = probability.argmax()
        return {"label": net.classes_[best], "probability": float(probability[best])}

    return repeated(answer, options)


CONTENDERS = {
    "gipi, encoded": ours_encoded,
    "torch, encoded": torch_encoded,
    "onnxruntime, encoded": onnx_encoded,
    "keras-torch predict, encoded": keras_predict,
    "keras-jax predict, encoded": keras_predict,
    "keras-torch call, encoded": keras_call,
    "keras-jax call, encoded": keras_call,
    "gipi, dict": ours_dict,
    "scikit-learn, dict": scikit_learn_dict,
    "keras-torch predict, dict": keras_dict,
    "keras-jax predict, dict": keras_dict,
}
ENCODED = [name for name in CONTENDERS if name.endswith("encoded") and not name.startswith("gipi")]
FIGURES = [
    *(Figure(name, "gipi, encoded") for name in ENCODED),
    *(
        Figure(name, "gipi, dict")
        for name in ("scikit-learn, dict", "keras-torch predict, dict", "keras-jax predict, dict")
    ),
]

if __name__ == "__main__":
    given = arguments(__doc__, turns=7, threads=1, sizes={"rows": (2000, 200), "milliseconds": (300, 20)})
    hold(Bench("predict", CONTENDERS, FIGURES, "µs"), given)
