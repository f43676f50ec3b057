"""Summary operations; tests/summary/ has the public functions and the files."""

import io
import wave
import zlib

import numpy as np

from headrace.framework import errors, protos
from headrace.kernels.summary import as_bytes, png
from tests.ops.harness import Bad, Case, OpRecord, run_records

RNG = np.random.RandomState(0)


def text(*values):
    return np.array(values, object) if len(values) != 1 else np.array(values[0], object)


def values_of(outputs):
    return protos.Summary.FromString(outputs[0]).value


def check_scalars(outputs, inputs, attrs):
    tags, numbers = inputs
    found = [(value.tag, value.simple_value) for value in values_of(outputs)]
    tags = [tag if isinstance(tag, str) else tag.decode() for tag in np.ravel(tags)]
    assert found == list(zip(tags, np.ravel(numbers).astype(np.float32).tolist()))


def check_histogram(outputs, inputs, attrs):
    (value,) = values_of(outputs)
    numbers = np.ravel(inputs[1]).astype(np.float64)
    histogram = value.histo
    assert value.tag == "h"
    assert histogram.num == len(numbers)
    np.testing.assert_allclose(histogram.sum, numbers.sum(), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(histogram.sum_squares, (numbers**2).sum(), rtol=1e-6)
    limits = np.array(histogram.bucket_limit)
    assert len(limits) == len(histogram.bucket) and (np.diff(limits) > 0).all()
    if len(numbers):
        assert (histogram.min, histogram.max) == (numbers.min(), numbers.max())
        counts = np.bincount(np.searchsorted(limits, numbers, side="right"), minlength=len(limits))
        np.testing.assert_array_equal(counts, histogram.bucket)


def pixels_of(data):
    """What a PNG file of ours holds; its checksums are verified."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    parts, at = {}, 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 8 + size]
        assert zlib.crc32(body) == int.from_bytes(data[at + 8 + size : at + 12 + size], "big")
        parts[body[:4]] = body[4:]
        at += 12 + size
    width, height = np.frombuffer(parts[b"IHDR"][:8], ">u4")
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, -1)
    assert list(parts) == [b"IHDR", b"IDAT", b"IEND"] and not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, -1)


def check_images(outputs, inputs, attrs):
    most = attrs.get("max_images", 3)
    images = inputs[1][:most]
    values = values_of(outputs)
    assert [value.tag for value in values] == [
        "i/image" if most == 1 else f"i/image/{k}" for k in range(len(images))
    ]
    for value, image in zip(values, images):
        assert (value.image.height, value.image.width, value.image.colorspace) == image.shape
        pixels = pixels_of(value.image.encoded_image_string).astype(int)
        if image.dtype == np.uint8:
            np.testing.assert_array_equal(pixels, image)
            continue
        finite = np.isfinite(image)
        image = np.where(finite, image, 0)
        scale, zero = (127 / abs(image).max(), 128) if image.min() < 0 else (255 / image.max(), 0)
        bad = attrs.get("bad_color", np.array([255, 0, 0, 255]))[: image.shape[-1]]
        expected = np.where(finite.all(-1, keepdims=True), image * scale + zero, bad)
        assert np.abs(pixels - expected).max() <= 1


def check_audio(outputs, inputs, attrs):
    most = attrs.get("max_outputs", 3)
    rate = float(inputs[2]) if len(inputs) == 3 else attrs["sample_rate"]
    clips = np.asarray(inputs[1])[:most]
    clips = clips.reshape(*clips.shape, 1) if clips.ndim == 2 else clips
    values = values_of(outputs)
    assert [value.tag for value in values] == [
        "a/audio" if most == 1 else f"a/audio/{k}" for k in range(len(clips))
    ]
    for value, clip in zip(values, clips):
        audio = value.audio
        assert (audio.length_frames, audio.num_channels, audio.sample_rate) == (*clip.shape, rate)
        assert audio.content_type == "audio/wav"
        with wave.open(io.BytesIO(audio.encoded_audio_string)) as file:
            assert (file.getnframes(), file.getnchannels()) == clip.shape
            assert (file.getframerate(), file.getsampwidth()) == (rate, 2)
            samples = np.frombuffer(file.readframes(len(clip)), "<i2").reshape(clip.shape)
        np.testing.assert_allclose(samples, np.clip(clip * 32768, -32768, 32767), atol=0.5)


def check_tensor(outputs, inputs, attrs):
    from headrace.framework.graph_def import make_ndarray

    (value,) = values_of(outputs)
    array = inputs[1] if len(inputs) == 3 else inputs[0]
    found = make_ndarray(value.tensor)
    np.testing.assert_array_equal(found, np.asarray(array))
    if len(inputs) == 3:
        assert value.tag == "t"
        assert value.metadata.plugin_data.plugin_name == "text"
    else:
        assert value.node_name


def summary(**values):
    message = protos.Summary()
    for tag, number in values.items():
        message.value.add(tag=tag, simple_value=number)
    return message.SerializeToString()


IMAGES = RNG.randn(4, 3, 5, 3)
BROKEN = np.abs(RNG.randn(1, 3, 5, 3))
BROKEN[0, 1, 2, 0], BROKEN[0, 0, 0] = np.nan, np.inf
SOUND = np.array(RNG.uniform(-1.2, 1.2, (4, 20, 2)), np.float32)
METADATA = protos.SummaryMetadata(plugin_data={"plugin_name": "text"}).SerializeToString()

RECORDS = [
    OpRecord(
        "ScalarSummary",
        cases=[
            Case((text("a"), np.array(2.5))),
            Case((text("a", "b"), np.array([1.0, -2.0]))),
            Case((np.zeros(0, object), np.zeros(0))),
        ],
        check=check_scalars,
        dtypes=("float32", "float64", "float16", "bfloat16"),
        bad=[
            Bad((text("a", "b"), np.zeros(3)), match="tags have shape"),
            Bad((text(b"\xff"), np.array(1.0)), match="UTF-8", when="run"),
        ],
    ),
    OpRecord(
        "HistogramSummary",
        cases=[
            Case((text("h"), 3 * np.array([[0.0, 1.0, -2.0], [4.0, 4.0, 10.0]]))),
            Case((text("h"), np.zeros((0, 3)))),
            Case((text("h"), np.array(7.0))),
            Case((text("h"), np.array([1e-13, -1e-13, 1e30, -1e30])), dtypes=("float32", "float64")),
        ],
        check=check_histogram,
        dtypes=("float32", "float64", "float16", "bfloat16"),
        bad=[
            Bad((text("h", "i"), np.zeros(3)), match="tag has shape"),
            Bad((text("h"), np.array([1.0, np.nan])), match="element 1 of the values", when="run"),
        ],
    ),
    OpRecord(
        "ImageSummary",
        cases=[
            Case((text("i"), IMAGES)),
            Case((text("i"), np.abs(IMAGES[..., :1])), {"max_images": 1}),
            Case((text("i"), BROKEN)),
            Case((text("i"), BROKEN), {"bad_color": np.array([1, 2, 3], np.uint8)}),
            Case((text("i"), np.zeros((0, 3, 5, 1)))),
        ],
        check=check_images,
        dtypes=("float32", "float64", "float16"),
        bad=[
            Bad((text("i"), np.zeros((2, 3, 3))), match=r"\[batch, height, width, channels\]"),
            Bad((text("i"), np.zeros((2, 3, 3, 2))), match="2 channels"),
            Bad((text("i"), np.zeros((2, 0, 3, 1))), match="no pixels", when="run"),
            Bad(
                (text("i"), np.zeros((2, 3, 3, 3))),
                {"bad_color": np.array([1], np.uint8)},
                match="bad_color",
                when="run",
            ),
        ],
    ),
    OpRecord(
        "AudioSummary",
        cases=[
            Case((text("a"), SOUND), {"sample_rate": 8000.0}),
            Case((text("a"), SOUND[..., 0]), {"sample_rate": 44100.0, "max_outputs": 1}),
            Case((text("a"), SOUND[:0]), {"sample_rate": 8000.0}),
        ],
        check=check_audio,
        dtypes=(),
        bad=[
            Bad((text("a"), SOUND[0, 0]), {"sample_rate": 1.0}, match=r"\[batch, frames\]"),
            Bad((text("a"), SOUND), {"sample_rate": 0.0}, match="sample_rate", when="run"),
        ],
    ),
    OpRecord(
        "AudioSummaryV2",
        cases=[
            Case((text("a"), SOUND, np.array(8000.0, np.float32))),
            Case((text("a"), SOUND[:0], np.array(8000.0, np.float32)), {"max_outputs": 2}),
        ],
        check=check_audio,
        dtypes=(),
        bad=[
            Bad((text("a"), SOUND, np.zeros(2, np.float32)), match="sample_rate has shape"),
            Bad((text("a"), SOUND[:, :0], np.array(1, np.float32)), match="there must be", when="run"),
        ],
    ),
    OpRecord(
        "TensorSummary",
        cases=[Case((np.array([[1.5, 2.0]]),)), Case((np.zeros((0, 2)),)), Case((np.array(1.0),))],
        check=check_tensor,
        dtypes=("float32", "float64", "float16"),
    ),
    OpRecord(
        "TensorSummaryV2",
        cases=[
            Case((text("t"), np.array([[1.5, 2.0]]), text(METADATA))),
            Case((text("t"), np.zeros((0, 2)), text(METADATA))),
        ],
        check=check_tensor,
        dtypes=("float32", "float64", "float16"),
        bad=[Bad((text("t"), np.zeros(2), text(b"\x07")), match="malformed", when="run")],
    ),
    OpRecord(
        "MergeSummary",
        cases=[
            Case(([text(summary(a=1.0)), text(summary(b=2.0, c=3.0))],)),
            Case(([text(summary()), np.zeros(0, object)],)),
        ],
        reference=lambda inputs: np.array(b"".join(b for each in inputs for b in np.ravel(each)), object),
        dtypes=(),
        bad=[
            Bad(
                ([text(summary(a=1.0)), text(summary(a=2.0))],),
                error=errors.InvalidArgumentError,
                match="the tag 'a'",
                when="run",
            ),
            Bad(([text(b"\x0a\xff")],), match="malformed", when="run"),
        ],
    ),
]

run_records(globals(), RECORDS)


def test_bytes_are_shown_as_they_are():
    image = RNG.randint(0, 256, (4, 6, 4)).astype(np.uint8)
    np.testing.assert_array_equal(pixels_of(png(as_bytes(image, np.zeros(4, np.uint8)))), image)


def test_a_dark_image_stays_dark():
    assert not as_bytes(np.zeros((2, 2, 1), np.float32), np.zeros(4, np.uint8)).any()
