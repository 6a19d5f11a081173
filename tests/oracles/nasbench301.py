"""The surrogate network of NAS-Bench-301 in float64 NumPy, written from the page of its file."""

import ast
from collections.abc import Mapping

import numpy as np

Cell = list[tuple[str, int]]

NUMBERS = {  # of an operation among the categories of an edge
    "avg_pool_3x3": 1,
    "dil_conv_3x3": 2,
    "dil_conv_5x5": 3,
    "max_pool_3x3": 4,
    "sep_conv_3x3": 5,
    "sep_conv_5x5": 6,
    "skip_connect": 7,
}
FIRST_EDGE = {2: 0, 3: 2, 4: 5, 5: 9}  # of a node
LAYERS = {"deep": 3, "deeper": 5}


def genotype(text: str) -> tuple[Cell, Cell]:
    """Pairs (operation, input) of both cells, from the text of a genotype."""
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    found = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    return found["normal"], found["reduce"]


def text(normal: Cell, reduce: Cell) -> str:
    """The inverse of `genotype`."""
    nodes = [2, 3, 4, 5]
    return f"Genotype({normal=}, normal_concat={nodes}, {reduce=}, reduce_concat={nodes})"


def categories(cells: tuple[Cell, Cell]) -> np.ndarray:
    """`[34]` integers."""
    found = np.zeros(34, int)
    for c, cell in enumerate(cells):
        for k in (2, 3, 4, 5):
            slots = cell[2 * (k - 2) : 2 * (k - 1)]
            for operation, source in slots:
                found[14 * c + FIRST_EDGE[k] + source] = NUMBERS[operation]
            if k > 2:
                pairs = [(a, b) for a in range(k) for b in range(a + 1, k)]
                inputs = tuple(sorted(source for _, source in slots))
                found[28 + 3 * c + k - 3] = 1 + pairs.index(inputs)
    return found


def cells_of(found: np.ndarray) -> tuple[Cell, Cell]:
    """The inverse of `categories`, from the edges alone."""
    names = {number: name for name, number in NUMBERS.items()}
    both: tuple[Cell, Cell] = ([], [])
    for c, cell in enumerate(both):
        for k, start in FIRST_EDGE.items():
            for source in range(k):
                if number := int(found[14 * c + start + source]):
                    cell.append((names[number], source))
    return both


def selu(x: np.ndarray) -> np.ndarray:
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def predict(
    arrays: Mapping[str, np.ndarray], found: np.ndarray, epochs: int
) -> tuple[float, float]:
    """Accuracy in % and seconds, of the categories of one architecture."""
    wide = {name: np.asarray(values, np.float64) for name, values in arrays.items()}
    shown = [wide[f"embedding_{place}"][number] for place, number in enumerate(found)]
    x = np.concatenate([*shown, [epochs * wide["epoch_scale"]]])
    total = wide["wide_w"] @ x + wide["wide_b"]
    for name, num in LAYERS.items():
        h = x
        for layer in range(num):
            h = wide[f"{name}_{layer}_w"] @ h + wide[f"{name}_{layer}_b"]
            h = selu(h) if layer < num - 1 else h
        total = total + h
    y = 1 / (1 + np.exp(-total))
    seconds = (y[1] - wide["runtime_shift"]) * wide["runtime_scale"] + wide["runtime_offset"]
    return float(y[0] / wide["accuracy_divisor"]), float(seconds)


def random_network(seed: int) -> dict[str, np.ndarray]:
    """Arrays of a small network, as a file has them."""
    rng = np.random.default_rng(seed)
    sizes = [(8, 10)] * 28 + [(4, 6), (7, 10), (11, 12)] * 2
    arrays = {f"embedding_{place}": rng.normal(size=size) for place, size in enumerate(sizes)}
    widths = {"wide": [2], "deep": [9, 8, 2], "deeper": [7, 6, 5, 4, 2]}
    for name, outputs in widths.items():
        inputs = [337, *outputs[:-1]]
        for layer, (num, size) in enumerate(zip(inputs, outputs, strict=True)):
            place = f"{name}_{layer}" if len(outputs) > 1 else name
            arrays[f"{place}_w"] = rng.normal(size=(size, num)) / num
            arrays[f"{place}_b"] = rng.normal(size=size) / 5
    scales = {"epoch_scale": 1 / 52, "accuracy_divisor": 0.01, "runtime_shift": 0.01}
    scales |= {"runtime_scale": 13000.0, "runtime_offset": 30.0}
    arrays |= {name: np.array(value) for name, value in scales.items()}
    return {name: values.astype(np.float32) for name, values in arrays.items()}
