"""Layers as loops over pixels in float64, and what draws of weights are checked by."""

import numpy as np


def conv_by_loops(x, kernel, stride=1):
    """Cross-correlation with k // 2 zeros on every side, in float64."""
    size, pad = kernel.shape[0], kernel.shape[0] // 2
    num, height, width, _ = x.shape
    rows, columns = (height + 2 * pad - size) // stride + 1, (width + 2 * pad - size) // stride + 1
    out = np.zeros((num, rows, columns, kernel.shape[3]))
    for row in range(rows):
        for column in range(columns):
            for i in range(size):
                for j in range(size):
                    y, z = row * stride + i - pad, column * stride + j - pad
                    if 0 <= y < height and 0 <= z < width:
                        out[:, row, column] += np.asarray(x, np.float64)[:, y, z] @ kernel[i, j]
    return out


def norm_by_loops(x, norm, eps=1e-5):
    """Each channel minus its mean, over the root of its mean squared deviation plus eps."""
    out = np.zeros(x.shape)
    for c in range(x.shape[-1]):
        values = np.asarray(x[..., c], np.float64)
        mean = values.sum() / values.size
        variance = ((values - mean) ** 2).sum() / values.size
        out[..., c] = (values - mean) / np.sqrt(variance + eps)
        if norm:
            out[..., c] = out[..., c] * norm["scale"][c] + norm["bias"][c]
    return out


def pool3x3_by_loops(x):
    """Mean of the neighbours that exist."""
    x, out = np.asarray(x, np.float64), np.zeros(x.shape)
    _, height, width, _ = x.shape
    for row in range(height):
        for column in range(width):
            window = x[:, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            out[:, row, column] = window.mean(axis=(1, 2))
    return out


def pool2x2_by_loops(x):
    """Mean of each block of four."""
    x = np.asarray(x, np.float64)
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def assert_uniform(draws, bound):
    """All within the bound, and the moments of U(±bound) to five standard errors."""
    draws = np.asarray(draws, np.float64).ravel()
    assert np.abs(draws).max() <= bound
    assert np.abs(draws).max() > 0.98 * bound
    assert abs(draws.mean()) < 5 * bound / np.sqrt(3 * draws.size)
    # The fourth moment of U(±b) is b⁴/5, so the mean square has the variance (1/5 - 1/9) b⁴ / n.
    assert abs((draws**2).mean() - bound**2 / 3) < 5 * bound**2 * np.sqrt(4 / 45 / draws.size)


def max_pool3x3_by_loops(x):
    """Largest of the neighbours that exist."""
    x, out = np.asarray(x, np.float64), np.zeros(x.shape)
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            window = x[:, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            out[:, row, column] = window.max(axis=(1, 2))
    return out


def assert_normal(draws, deviation):
    """The first two moments of N(0, deviation²) to five standard errors."""
    draws = np.asarray(draws, np.float64).ravel()
    assert abs(draws.mean()) < 5 * deviation / np.sqrt(draws.size)
    assert abs((draws**2).mean() - deviation**2) < 5 * deviation**2 * np.sqrt(2 / draws.size)
