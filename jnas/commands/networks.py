"""Networks that commands train: the sizes that they have by default follow from the images."""

from collections.abc import Mapping
from typing import Any

from jnas import networks
from jnas.engine.messages import nearest, setting
from jnas.spaces import nds, nds_cells
from jnas.types import Dataset, Network

FEW, SMALL_BATCH = 640, 32  # training images: an epoch of fewer than ten steps is a coarse unit
_SIZES = {
    "nasbench101": {"channels": "channels", "stages": "stacks", "cells": "cells"},
    "nasbench201": {"channels": "channels", "stages": "stages", "cells": "cells"},
    "nats_size": {},
    "nb1shot1": {"channels": "channels", "stages": "stacks", "cells": "cells"},
    **{
        name: {"channels": "channels", "cells": "layers"}
        for name in ("darts", "enas", "nasbench301", *nds_cells.FAMILIES)
    },
    **{name: {} for name in ("nasbench_macro", *nds.FAMILIES)},
}  # options → arguments of the network
NAMES = tuple(_SIZES)
_CHOSEN = {"nats_size": ("channels",), **dict.fromkeys(nds.FAMILIES, ("channels", "cells"))}
# From thousands of parameters to millions: nothing but limits says how large they are to be.
_OF_SIZES = tuple(nds.FAMILIES)
_MACS = 50_000  # for a pixel
# Weights of others would be those of all sizes, most of which no architecture of a step has.
_SHARED = tuple(name for name in NAMES if name not in (*_OF_SIZES, *nds_cells.FAMILIES))


def check(space: str) -> str:
    """Name of a space, which has a network; ValueError names those that have."""
    if space not in NAMES:
        raise ValueError(f"no network for the space {space!r}. {nearest(space, NAMES)}")
    return space


def check_shared(space: str) -> str:
    """Name of a space whose architectures can share weights; ValueError for any other."""
    if check(space) not in _SHARED:
        raise ValueError(
            f"no supernet for the space {space}, whose architectures choose width and depth. "
            f"{nearest(space, _SHARED)}"
        )
    return space


def chooses_sizes(space: str) -> bool:
    """Whether architectures of a space are the sizes of their network, and nothing else."""
    return space in _OF_SIZES


def usual_macs(dataset: Dataset) -> int | None:
    """Multiply-accumulates of the largest network of a space of sizes for images; None: any.

    Such spaces go up to hundreds of times what a CPU trains in minutes.
    """
    shape, num = dataset.train.x.shape, len(dataset.train.y)
    # In steps with the number of images, as the cells of other networks.
    per_pixel = _MACS if num < 5_000 else 4 * _MACS if num < 25_000 else None
    return None if per_pixel is None else int(shape[1] * shape[2] * per_pixel)


def told(space: str, text: str | None) -> dict[str, int]:
    """Sizes of a network by option that the text of an architecture tells; none where it does not.

    Of spaces whose architectures choose them, a network is trained at one size, and that is theirs.
    """
    if text is None or space not in nds_cells.FAMILIES:
        return {}
    network = networks.by_name(space)
    try:
        arch = network.space.from_string(text)
    except ValueError:  # without sizes, or wrong: the space of the network that is made says what
        return {}
    chosen: Any = network.bucket(arch) if network.bucket else ()
    return dict(zip(("channels", "cells"), chosen, strict=True))


def sizes(space: str, given: Mapping[str, int | None], dataset: Dataset) -> dict[str, int]:
    """Channels, cells and stages of the network of a space for images, as far as it has them.

    Args:
        space: its name.
        given: those that are chosen; None stands for the default.
        dataset: of the images.

    Raises:
        ValueError: the space has no network, or a size is given that is fixed or that its
            architectures choose.
    """
    shape, num = dataset.train.x.shape, len(dataset.train.y)
    # Small images need few channels, and few images few cells: what is trained on them is to take
    # minutes on a CPU. From CIFAR-10 on they are those of NAS-Bench-201.
    usual = {
        "channels": 8 if max(shape[1:3]) <= 16 else 16,
        "cells": 1 if num < 5_000 else 3 if num < 25_000 else 5,
        "stages": 3,
    }
    takes = _takes(space)
    if takes.get("cells") == "layers":
        # Cells of the whole network, two of which have half the pixels of those before: of fewer
        # than three none would be a normal one.
        usual["cells"] = {1: 3, 3: 5, 5: 8}[usual["cells"]]
    for name in usual:
        # An error and not silence: whoever gives channels believes that they have an effect.
        if name not in takes and given.get(name) is not None:
            is_chosen = name in _CHOSEN.get(space, ())
            why = "a choice of each architecture" if is_chosen else "fixed"
            raise ValueError(f"{setting(name)} is {why} in the network of {space}")
    return {name: given.get(name) or size for name, size in usual.items() if name in takes}


def side(dataset: Dataset) -> int | None:
    """Pixels on a side of the images of a data set; None where they are not square."""
    shape = dataset.train.x.shape
    return int(shape[1]) if shape[1] == shape[2] else None


def make(space: str, sizes: Mapping[str, int | None], dataset: Dataset, **settings: Any) -> Network:
    """Network of a space for the images of a data set.

    Args:
        space: its name.
        sizes: of the network, as `sizes` returns them; others are left out.
        dataset: of the images.
        settings: of its factory, besides.
    """
    named = {name: sizes[option] for option, name in _takes(space).items()}
    channels, classes = dataset.train.x.shape[-1], len(dataset.classes)
    return networks.by_name(space, in_channels=channels, num_classes=classes, **named, **settings)


def _takes(space: str) -> dict[str, str]:
    """Options that the network of a space takes → arguments of its factory."""
    return _SIZES[check(space)]
