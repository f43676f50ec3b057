"""Writes tests/golden/frames: graphs with conditions and loops as frames, and what they give.

Run it where TensorFlow 1.15 is installed, and again where 2.21 is: `python tests/golden/record_frames.py`.
The tests need no TensorFlow.
"""

import gzip
import json
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import frames_programs

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "frames")


def record(tf, program, path):
    graph = tf.Graph()
    with graph.as_default():
        feeds, fetches = program(tf)
        init = tf.global_variables_initializer()
        with tf.Session() as session:
            session.run(init)
            values = [session.run(fetches, feed) for feed in feeds]
    message = graph.as_graph_def().SerializeToString(deterministic=True)
    with open(path + ".pb.gz", "wb") as file:
        file.write(gzip.compress(message, mtime=0) if sys.version_info >= (3, 8) else gzip.compress(message))
    results = {
        "init": init.name,
        "feeds": [{key.name: np.asarray(value).tolist() for key, value in feed.items()} for feed in feeds],
        "fetches": [tensor.name for tensor in fetches],
        "values": [[np.asarray(value).tolist() for value in step] for step in values],
    }
    with open(path + ".json", "w") as file:
        json.dump(results, file, sort_keys=True)
        file.write("\n")


def main():
    import tensorflow

    newer = tensorflow.__version__.startswith("2.")
    tf = tensorflow.compat.v1
    tf.disable_v2_behavior()
    tf.disable_control_flow_v2()
    os.makedirs(FOLDER, exist_ok=True)
    for program in frames_programs.NEWER if newer else frames_programs.PROGRAMS:
        record(tf, program, os.path.join(FOLDER, program.__name__ + ("_2_21" if newer else "")))


if __name__ == "__main__":
    main()
