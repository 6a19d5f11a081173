"""CIFAR-10's pickled batches, read without running what a pickle may say."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from jnas.engine.messages import describe

# All that a pickled NumPy array needs, before and after NumPy renamed its core. The last one is how
# Python 3 writes bytes for Python 2.
_ALLOWED_GLOBALS = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images `[n, 32, 32, 3]` uint8 and labels `[n]` of a pickled batch.

    Raises:
        ValueError: the file is something else; the message names it.
        OSError: it cannot be read.
    """
    content = io.BytesIO(path.read_bytes())
    try:
        # Python 2 wrote the official files, so that their keys are bytes.
        batch = _BatchUnpickler(content, encoding="bytes").load()
        data, labels = batch[b"data"], np.asarray(batch[b"labels"])
        if data.dtype != np.uint8 or data.shape != (len(labels), 3072):
            raise ValueError(f"data is {describe(data)}, for {len(labels)} labels")
    except Exception as error:  # A broken pickle can raise anything.
        reason = f"{type(error).__name__}: {error}"
        wanted = "neither .npz nor a CIFAR-10 batch (a pickle of data uint8 [n, 3072] and labels)"
        raise ValueError(f"{path} is {wanted}: {reason}") from error
    # A row is a red image, a green and a blue one.
    return data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels


class _BatchUnpickler(pickle.Unpickler):
    """Unpickler of arrays of bytes and plain containers; anything else is refused."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Global that an array of bytes needs; UnpicklingError for all others."""
        if (module_name, global_name) not in _ALLOWED_GLOBALS:
            raise pickle.UnpicklingError(
                f"the global {module_name}.{global_name} is not allowed here"
            )
        if global_name == "dtype":
            return _bytes_dtype
        # The old name of the core is deprecated, and may be gone from a later NumPy.
        return super().find_class(module_name.replace("numpy.core", "numpy._core"), global_name)


def _bytes_dtype(code: str | bytes, align: int = 0, copy: int = 1) -> np.dtype:
    """Type uint8 of an array, in place of the type that a pickle names.

    A pickle may set its state without harm; with that of objects it could forge pointers.
    """
    del align, copy  # They mean nothing for single bytes; old pickles give them as integers.
    if code not in ("u1", b"u1"):
        raise pickle.UnpicklingError(f"an array of dtype {code!r} is not allowed here")
    return np.dtype(np.uint8)
