"""Runs graphs in TensorFlow, in a Python of its own: reads requests from stdin, writes replies to stdout.

Request and reply are pickled dicts of plain types, each after its length in 8 bytes; arrays travel as
TensorProto messages. This file is run by the peer's interpreter and imports nothing of Headrace. With
--as-it-was, programs have what was usual in TensorFlow 1: reference variables, and frames for control flow.
"""

import os
import pickle
import struct
import sys
from typing import Any, BinaryIO

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


def read(stream: BinaryIO) -> Any:
    head = stream.read(8)
    if len(head) < 8:
        return None
    (size,) = struct.unpack("<q", head)
    return pickle.loads(stream.read(size))


def write(stream: BinaryIO, message: Any) -> None:
    data = pickle.dumps(message, protocol=4)
    stream.write(struct.pack("<q", len(data)) + data)
    stream.flush()


def proto(tf: Any, array: Any) -> bytes:
    return tf.make_tensor_proto(array).SerializeToString()


def array(tf: Any, data: bytes) -> Any:
    message = tf.make_tensor_proto(0)
    message.ParseFromString(data)
    return tf.make_ndarray(message)


def shape_of(tensor: Any) -> "list[int | None] | None":
    return None if tensor.shape.rank is None else tensor.shape.as_list()


def answer(tf: Any, request: "dict[str, Any]") -> "dict[str, Any]":
    graph = tf.Graph()
    with graph.as_default():
        if "program" in request:  # builds the graph itself, naming what is of interest
            functions = not request.get("frames") and "--as-it-was" not in sys.argv
            tf.enable_control_flow_v2() if functions else tf.disable_control_flow_v2()
            names: dict[str, Any] = {"tf": tf}
            exec(request["program"], names)
        else:
            message = tf.GraphDef.FromString(request["graph_def"])
            tf.import_graph_def(message, name="")
    reply: dict[str, Any] = {
        "graph_def": graph.as_graph_def().SerializeToString() if "program" in request else b"",
        "shapes": [shape_of(graph.get_tensor_by_name(name)) for name in request["fetches"]],
    }
    if request.get("run", True):
        config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        with tf.Session(graph=graph, config=config) as session:
            for name in request.get("before", ()):
                session.run(graph.get_operation_by_name(name))
            reply["values"] = []
            several = request["feeds"] if isinstance(request["feeds"], list) else [request["feeds"]]
            for step in several * request.get("steps", 1):
                feeds = {name: array(tf, data) for name, data in step.items()}
                values = session.run([*request["fetches"], *request.get("targets", ())], feeds)
                reply["values"] += [proto(tf, value) for value in values[: len(request["fetches"])]]
    return reply


def main() -> None:
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what TensorFlow prints is not for the other side
    import tensorflow

    tf: Any = tensorflow if "--as-it-was" in sys.argv else tensorflow.compat.v1
    tf.disable_eager_execution()
    if "--as-it-was" not in sys.argv:
        tf.enable_resource_variables()
    while True:
        request = read(requests)
        if request is None:
            return
        try:
            reply = answer(tf, request)
        except Exception as error:
            reply = {"error": type(error).__name__, "message": str(error)}
        write(replies, reply)


if __name__ == "__main__":
    main()
