"""What is told: `tf.logging`."""

import logging as python_logging

import pytest

import headrace as tf


@pytest.fixture
def told(caplog):
    level = python_logging.getLogger("headrace").level
    yield lambda: [(record.levelname, record.getMessage()) for record in caplog.records]
    python_logging.getLogger("headrace").setLevel(level)


def test_levels(told, caplog):
    log = tf.logging
    assert log.get_verbosity() == log.WARN
    log.info("not told")
    log.set_verbosity(log.INFO)
    assert log.get_verbosity() == log.INFO
    log.info("%d steps", 3)
    log.debug("not told")
    log.warn("w")
    log.warning("w2")
    log.error("e")
    log.fatal("f")
    log.log(log.INFO, "l %s", "x")
    log.vlog(log.ERROR, "v")
    log.log_if(log.ERROR, "never", False)
    log.log_if(log.ERROR, "always", True)
    log.TaskLevelStatusMessage("t")
    log.flush()
    assert told() == [
        *(("INFO", "3 steps"), ("WARNING", "w"), ("WARNING", "w2"), ("ERROR", "e"), ("CRITICAL", "f")),
        *(("INFO", "l x"), ("ERROR", "v"), ("ERROR", "always"), ("ERROR", "t")),
    ]
    assert {record.filename for record in caplog.records} == {"test_log.py"}
    log.set_verbosity("DEBUG")
    assert log.get_verbosity() == log.DEBUG


def test_now_and_then(told):
    for i in range(5):
        tf.logging.log_every_n(tf.logging.ERROR, "every %d", 2, i)
        tf.logging.log_first_n(tf.logging.ERROR, "first %d", 2, i)
    assert [text for _, text in told()] == ["every 0", "first 0", "first 1", "every 2", "every 4"]
