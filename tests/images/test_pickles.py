"""CIFAR-10's pickled batches: every layout of them, and nothing else."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from jnas import images
from tests.images.helpers import MEAN, STD, save_batch


def test_one_red_pixel(tmp_path):
    """A hand-written row: only the byte of row 2, column 5 of the second (green) plane is lit."""
    row = np.zeros((1, 3072), np.uint8)
    row[0, 1024 + 2 * 32 + 5] = 255
    file = tmp_path / "data_batch_1"
    file.write_bytes(pickle.dumps({b"data": row, b"labels": [0]}, protocol=2))
    batch = images.load(file, num=1, mean=0.0, std=1.0)
    assert np.argwhere(np.asarray(batch) != 0).tolist() == [[0, 2, 5, 1]]


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_every_old_pickle_protocol(tmp_path, rng, protocol):
    x = rng.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    file = save_batch(tmp_path / "data_batch_1", x, [1, 2], protocol)
    np.testing.assert_allclose(
        images.load(file, num=2), (x / 255 - MEAN) / STD, rtol=1e-5, atol=1e-6
    )


def test_a_batch_as_python_2_wrote_it(tmp_path):
    """Opcodes of the official files: byte strings, integer flags of the dtype, `numpy.core`."""
    pixels = bytes(range(256)) * 12
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntU\x01btR"
        b"(I1\n(I1\nI3072\ntcnumpy\ndtype\n(U\x02u1I0\nI1\ntR(I3\nU\x01|NNNI-1\nI-1\nI0\ntbI00\n"
        b"T" + len(pixels).to_bytes(4, "little") + pixels + b"tb"
    )
    file = tmp_path / "data_batch_1"
    file.write_bytes(b"\x80\x02}(U\x04data" + array + b"U\x06labels(lp1\nI6\nau.")
    batch, labels = images.load_labelled(file, num=1, mean=0.0, std=1.0)
    plane = (np.arange(1024) % 256).reshape(32, 32) / 255
    np.testing.assert_allclose(batch[0], np.stack([plane] * 3, axis=-1), rtol=1e-6)
    assert labels.tolist() == [6]


# Pickles that are more than arrays


class Malicious:
    """Unpickling it would create a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_malicious_pickle_is_refused(tmp_path, protocol):
    trace = tmp_path / "trace"
    content = {b"data": Malicious(trace), b"labels": [0]}
    file = tmp_path / "data_batch_1"
    file.write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(ValueError, match=rf"the global {os.mkdir.__module__}.mkdir is not allowed"):
        images.load(file, num=1)
    assert not trace.exists()
    pickle.loads(file.read_bytes())
    assert trace.exists()  # the file was malicious indeed


@pytest.mark.parametrize(
    "name",
    [
        b"builtins\neval",
        b"__builtin__\neval",
        b"os\nsystem",
        b"numpy\nload",
        b"numpy.core\nmultiarray",
    ],
)
def test_other_globals_are_refused(tmp_path, name):
    file = tmp_path / "data_batch_1"
    file.write_bytes(b"\x80\x02c" + name + b"\n.")
    with pytest.raises(ValueError, match=f"{name.decode().replace(chr(10), '.')} is not allowed"):
        images.load(file)


def test_arrays_of_objects_are_refused(tmp_path):
    file = tmp_path / "data_batch_1"
    data = np.array([[1, None]], dtype=object)
    file.write_bytes(pickle.dumps({b"data": data, b"labels": [0]}, protocol=2))
    with pytest.raises(ValueError, match="an array of dtype 'O8' is not allowed"):
        images.load(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({b"labels": [0]}, "data"),
        ({b"data": np.zeros((1, 3072), np.uint8)}, "labels"),
        ({b"data": np.zeros((1, 3072), np.uint8), b"labels": [0, 1]}, "for 2 labels"),
        ({b"data": np.zeros((1, 784), np.uint8), b"labels": [0]}, r"uint8 \[1, 784\]"),
        ({b"data": [1, 2], b"labels": [0]}, "AttributeError"),
        ([1, 2], "TypeError"),
    ],
)
def test_batches_with_other_content(tmp_path, content, message):
    file = tmp_path / "data_batch_1"
    file.write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(ValueError, match=rf"nor a CIFAR-10 batch.*: .*{message}"):
        images.load(file)


def test_files_of_another_kind(tmp_path):
    for name, content in (("empty", b""), ("picture.png", b"\x89PNG"), ("notes.txt", b"hello")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} is neither .npz nor a CIFAR-10 batch"):
            images.load(tmp_path / name)
    with pytest.raises(ValueError, match="holds no CIFAR-10 data_batch"):
        images.load(tmp_path)
