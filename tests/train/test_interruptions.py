"""Saves that are interrupted: at each call that changes a file in turn, a good checkpoint is there."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
_COMPILER = shutil.which("cc") or shutil.which("gcc")

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="files are interrupted through ld.so"),
    pytest.mark.skipif(not _COMPILER, reason="there is no C compiler to make the interruptions with"),
]


@pytest.fixture(scope="module")
def interruptions(tmp_path_factory):
    library = tmp_path_factory.mktemp("library") / "interrupted_files.so"
    source = HERE / "interrupted_files.c"
    subprocess.run([_COMPILER, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


# For each number: a folder with a checkpoint of ones, and a child that saves twos and is interrupted.
PROGRAM = """
import ctypes, errno, glob, itertools, logging, os, shutil, signal, sys
import numpy as np
import headrace as tf

folder, how, sharded, again = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "sharded", sys.argv[4] == "again"
files = ctypes.CDLL(None)
logging.disable()

def save(value, step):
    with tf.Graph().as_default(), tf.Session() as session:
        with tf.device("/cpu:0"):
            tf.Variable(np.full(1000, value), name="v")
        tf.Variable(np.full((200, 1000), value, np.float32), name="w")
        tf.Variable([str(value)] * 10, name="text")
        session.run(tf.global_variables_initializer())
        saver = tf.train.Saver(sharded=sharded, max_to_keep=1)
        state = tf.train.get_checkpoint_state(folder)
        if state:
            saver.recover_last_checkpoints(state.all_model_checkpoint_paths)
        return saver.save(session, folder + "/model", global_step=None if again else step)

def in_child(work):
    child = os.fork()
    if child == 0:
        try:
            os._exit(work())
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\\n")
            os._exit(9)
    return os.waitpid(child, 0)[1]

def check(where, values):
    path = tf.train.latest_checkpoint(folder)
    assert path is not None, f"{where}: no checkpoint; there are {os.listdir(folder)}"
    reader = tf.train.NewCheckpointReader(path)
    found = {float(reader.get_tensor("v").reshape(-1)[0])}
    for name in ("v", "w", "text"):
        found |= {float(one) for one in reader.get_tensor(name).reshape(-1)}
    assert len(found) == 1 and found <= values, f"{where}: the checkpoint holds {found}"

def interrupted(call):
    files.interrupt_at(call, how)
    try:
        save(2, 2)
    except tf.errors.ResourceExhaustedError:
        return 3
    except OSError as error:
        return 3 if error.errno == errno.ENOSPC else 9
    # Nothing happened if there were fewer calls.
    return 1 if files.interrupt_left() > 0 else 0

first = folder + ".first"
assert in_child(lambda: save(1, 1) and 0) == 0
shutil.copytree(folder, first)
happened = 0
for call in itertools.count(1):
    shutil.rmtree(folder)
    shutil.copytree(first, folder)
    status = in_child(lambda: interrupted(call))
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 1:
        break
    happened += 1
    where = f"interruption {how} at call {call}"
    if how < 2:
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (where, status)
    else:
        assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == (3 if how == 2 else 0), (where, status)
        # Nothing is left behind that no checkpoint speaks of.
        known = {"checkpoint", *(os.path.basename(path) for path in glob.glob(folder + "/*.meta"))}
        for index in glob.glob(folder + "/*.index"):
            shards = tf.train.NewCheckpointReader(index[:-6])._checkpoint.shards()
            data = [f"{index[:-6]}.data-{i:05d}-of-{shards:05d}" for i in range(shards)]
            known |= {os.path.basename(path) for path in [index, *data]}
        left = set(os.listdir(folder)) - known
        assert not left, f"{where}: {left} were left behind"
    check(where, {2.0} if how == 3 else {1.0, 2.0})
    # The next run of the program goes on from there.
    if call % 4 == 0:
        assert in_child(lambda: save(3, 3) and 0) == 0, where
        check(where + ", and saved again", {3.0})
print(happened)
"""


@pytest.mark.parametrize("name", ["again", "next"])
@pytest.mark.parametrize("files", ["one", "sharded"])
@pytest.mark.parametrize("how", ["kill before", "kill within", "full disk", "short write"])
def test_every_interruption(interruptions, tmp_path, how, files, name):
    folder = tmp_path / "folder"
    folder.mkdir()
    number = ["kill before", "kill within", "full disk", "short write"].index(how)
    # One thread: the program forks.
    environment = {**os.environ, "LD_PRELOAD": str(interruptions), "HEADRACE_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(number), files, name],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    # Of the data in two pieces, the index, the graph and the file "checkpoint".
    assert int(done.stdout) >= (5 if number >= 2 else 12)


MEMORY = """
import sys
import numpy as np
import headrace as tf

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) << 10

size = 100 << 20
for name in ("v", "w"):
    tf.get_variable(name, [size // 4], initializer=tf.zeros_initializer())
saver = tf.train.Saver(sharded=sys.argv[2] == "sharded")
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak begins anew
    before = peak()
    saver.save(session, sys.argv[1])
    print(peak() - before, size)
"""


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the peak cannot be reset")
@pytest.mark.parametrize("files", ["one", "sharded"])
def test_saving_takes_less_memory_than_a_copy_of_a_tensor(tmp_path, files):
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "model"), files]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    more, largest = map(int, done.stdout.split())
    assert more < largest / 4
