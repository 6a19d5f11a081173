"""Files of images for tests, and what should come out of them."""

import pickle
from pathlib import Path

import numpy as np

# Published for CIFAR-10 and used by NASWOT, typed here a second time on purpose.
MEAN = np.array([125.3, 123.0, 113.9]) / 255
STD = np.array([63.0, 62.1, 66.7]) / 255


def save(path: Path, **arrays) -> Path:
    np.savez(path, **arrays)
    return path


def save_batch(path: Path, x: np.ndarray, labels, protocol: int = 4) -> Path:
    """The official layout: rows of 1,024 red, 1,024 green and 1,024 blue values, row by row."""
    data = np.stack([np.concatenate([image[..., c].ravel() for c in range(3)]) for image in x])
    content = {
        b"batch_label": b"fake",
        b"labels": list(labels),
        b"data": data,
        b"filenames": [b"a.png"],
    }
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def normalised(x: np.ndarray) -> np.ndarray:
    """A file's images as they should come out, from the definition."""
    unit = x / 255 if x.dtype == np.uint8 else x.astype(np.float64)
    return (unit - unit.mean((0, 1, 2))) / unit.std((0, 1, 2))
