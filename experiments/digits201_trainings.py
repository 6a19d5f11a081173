"""Trainings of digits201 in parts: which there are, how one is made, and all of them together.

Each core trains cells one after the other in a process of its own: operations of such small
networks are too short to be shared. Seconds are those of the processor, not of the clock, so that
what else the machine does counts for little.
"""

import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import jnas
from configs.digits201 import Config
from experiments import common
from jnas.benchmarks.digits201 import PACKAGED
from jnas.benchmarks.trainings import ARRAYS, functions
from jnas.types import Dataset, Network

PARTS = common.RESULTS / "digits201"
SPACE = jnas.spaces.nasbench201(identity="function")


class Part(NamedTuple):
    """Trainings of a file: its name, their seed, and the cells `[N, 6]`."""

    name: str
    seed: int
    archs: np.ndarray


def cells(config: Config) -> np.ndarray:
    """Cells `[N, 6]`, one of each function, in the random order in which they are trained."""
    every = SPACE.enumerate()
    # The first of equal ones has the fewest operations that nothing passes through.
    _, first = np.unique(functions(SPACE, every), return_index=True)
    order = np.random.default_rng(0).permutation(len(first))
    chosen: np.ndarray = every[first[order]][: config.num_cells]
    return chosen


def parts(config: Config) -> list[Part]:
    """All parts, those of the first seed first."""
    archs, found = cells(config), []
    for place, seed in enumerate(config.seeds):
        of_seed = archs if place == 0 else archs[: config.num_again]
        for number, begin in enumerate(range(0, len(of_seed), config.part)):
            name = f"part-{seed}-{number:03}.npz"
            found.append(Part(name, seed, of_seed[begin : begin + config.part]))
    return found


def network(config: Config, data: Dataset) -> Network:
    """Network that is trained on a data set."""
    shape: dict[str, Any] = {"num_classes": len(data.classes), **config.network}
    return jnas.networks.nasbench201(in_channels=data.train.x.shape[-1], **shape)


def settings(config: Config, data: Dataset) -> str:
    """All that a training depends on but its cell and its seed, as JSON."""
    # Of the images themselves: what composes them may change under the same name.
    sha = hashlib.sha256()
    for images in (data.train, data.validation, data.test):
        sha.update(np.ascontiguousarray(images.x).tobytes() + np.asarray(images.y).tobytes())
    recipe = jnas.training.recipe("nasbench201", **changes(config))
    about = {"images": sha.hexdigest(), "network": config.network, "recipe": recipe._asdict()}
    return json.dumps(about, sort_keys=True)


def changes(config: Config) -> dict[str, Any]:
    """Changes of the recipe: images are composed, and not augmented besides."""
    return {"augmentation": jnas.data.Augmentation(), **config.recipe}


def train(config: Config, folder: Path, cores: int | None = None) -> None:
    """Train all parts that are not in the folder, on so many cores (all that there are)."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = parts(config)
    left = [part for part in wanted if not (folder / part.name).exists()]
    for done, name in enumerate(_trained(config, folder, left, cores), len(wanted) - len(left) + 1):
        print(f"{name}, {done} of {len(wanted)}", flush=True)


def _trained(config: Config, folder: Path, left: list[Part], cores: int | None) -> Iterator[str]:
    """Names of parts as they are finished."""
    known = _cores()[:cores]
    # A process of its own would only have to import and compile anew.
    if len(known) == 1:
        for part in left:
            yield train_part(config, folder, part)
        return
    # JAX has threads, which a fork would lose.
    context = multiprocessing.get_context("spawn")
    free: Queue[int] = context.Queue()
    for core in known:
        free.put(core)
    with ProcessPoolExecutor(len(known), context, _keep_to_core, (free,)) as pool:
        futures = [pool.submit(train_part, config, folder, part) for part in left]
        for future in as_completed(futures):
            yield future.result()


def _cores() -> list[int]:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _keep_to_core(free: "Queue[int]") -> None:
    """Start of a process of the pool: before JAX counts the cores, one is taken."""
    core = free.get()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def train_part(config: Config, folder: Path, part: Part) -> str:
    """Name of a part, once it is trained and its file is written."""
    data = jnas.data.load(config.data)
    about = {"settings": np.array(settings(config, data))}
    common.write_npz(folder / part.name, about | trained(config, data, part))
    return part.name


def trained(config: Config, data: Dataset, part: Part) -> dict[str, np.ndarray]:
    """Arrays of the trainings of a part, by the names of `benchmarks.trainings.ARRAYS`."""
    recipe = jnas.training.recipe("nasbench201", **changes(config))
    made = network(config, data), data, recipe
    # Compiled before the first cell is timed.
    jnas.training.objective(*made).course(part.archs[0], 1)
    objective, rows = jnas.training.objective(*made, part.seed), []
    for arch in part.archs:
        begin = time.process_time()
        course = objective.course(arch, recipe.epochs)
        seconds = time.process_time() - begin
        found: dict[str, Any] = {"seconds": seconds, "failed_at": course.state.failed_at}
        for name, values in course.curves.items():
            found[name] = np.asarray(values, np.float32)
        rows.append({"archs": np.asarray(arch, np.int8), "seeds": part.seed, **found})
    return {name: np.stack([np.asarray(row[name]) for row in rows]) for name in ARRAYS}


def joined(config: Config, folder: Path) -> dict[str, np.ndarray]:
    """Arrays of all finished trainings, of `benchmarks.trainings.ARRAYS`.

    Raises:
        ValueError: there is none, or a part was trained with other settings.
    """
    about = settings(config, jnas.data.load(config.data))
    paths = [folder / part.name for part in parts(config) if (folder / part.name).exists()]
    if not paths:
        raise ValueError(f"no part is in {folder}; `digits201 train` makes them")
    return concatenated(_read(path, about) for path in paths)


def finished(config: Config, folder: Path) -> dict[str, np.ndarray]:
    """Arrays of all trainings of the packaged file, or before there is one of the parts."""
    if not PACKAGED.exists():
        return joined(config, folder)
    with np.load(PACKAGED) as file:
        return {name: file[name] for name in ARRAYS}


def concatenated(found: Iterable[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays one after the other, by name."""
    rows = list(found)
    return {name: np.concatenate([row[name] for row in rows]) for name in ARRAYS}


def _read(path: Path, about: str) -> dict[str, np.ndarray]:
    """Arrays of a part; ValueError where its settings are not `about`."""
    with np.load(path) as file:
        wanted, stored = json.loads(about), json.loads(str(file["settings"]))
        # A recipe may have learnt new fields since, whose defaults change nothing.
        wanted["recipe"] = {name: wanted["recipe"].get(name) for name in stored["recipe"]}
        if stored != wanted:
            raise ValueError(f"{path} was trained with other settings: remove it")
        return {name: file[name] for name in ARRAYS}
