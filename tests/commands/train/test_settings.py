"""Settings of a training: defaults that follow from the images, and names of run folders."""

import dataclasses
import shlex

import numpy as np
import pytest

import jnas
from jnas import commands
from jnas.commands import networks
from jnas.commands.search import strategies
from jnas.commands.train.images import counts, majority_share
from jnas.commands.train.settings import Settings, filled, network_of, recipe_of
from jnas.types import Dataset, Images


def dataset(num: int, side: int, channels: int = 3, classes: int = 4) -> Dataset:
    """Images that are not looked at: all are one in memory."""
    pixel = np.broadcast_to(np.zeros((1, 1, 1, channels), np.uint8), (num, side, side, channels))
    part, none = Images(pixel, np.arange(num) % classes), Images(pixel[:0], np.zeros(0, int))
    names, mean = tuple("abcdefgh"[:classes]), np.zeros(channels, np.float32)
    return Dataset(part, none, none, mean, mean + 1, 255.0, names, "images", True)


def test_digits_get_a_small_network() -> None:
    digits = jnas.data.load("digits")
    full = filled(Settings(), digits)
    assert (full.channels, full.cells, full.stages, full.size) == (8, 1, 3, 8)
    assert (full.candidates, full.trained) == (200, 16)
    network = network_of(full, digits)
    _, sizes = jnas.networks.settings(network)
    assert (sizes["num_classes"], sizes["in_channels"], sizes["channels"]) == (10, 1, 8)
    # 19 steps of 64 images an epoch.
    assert recipe_of(full).epochs == full.epochs == -(-1200 // 19)


@pytest.mark.parametrize(("num", "cells"), [(200, 1), (5_000, 3), (40_000, 5)])
def test_more_images_make_a_deeper_network_and_fewer_epochs(num, cells) -> None:
    full = filled(Settings(images="x"), dataset(num, 32))
    assert (full.channels, full.cells) == (16, cells)
    of_epoch = num // (32 if num == 200 else 64)
    steps = full.epochs * of_epoch
    least = 600 if num == 200 else 1200
    assert steps >= least
    assert full.epochs == 30 or steps - of_epoch < least


def test_what_is_given_stays() -> None:
    given = Settings(channels=3, cells=2, stages=1, epochs=5, candidates=7, trained=1, seed=4)
    full = filled(given, dataset(90, 8))
    kept = ("channels", "cells", "stages", "epochs", "candidates", "trained", "seed")
    assert [getattr(full, name) for name in kept] == [getattr(given, name) for name in kept]
    assert filled(full, dataset(90, 8)) == full


def test_recipes_of_papers_keep_their_epochs_and_short_ones_are_not_all_warm_up() -> None:
    assert filled(Settings(recipe="nasbench201"), dataset(90, 32)).epochs == 200
    made = recipe_of(Settings(batch_size=8, learning_rate=0.5, precision="bfloat16"), 2)
    assert (made.batch_size, made.learning_rate, made.precision) == (8, 0.5, "bfloat16")
    assert made.warmup_epochs == 0.05


@pytest.mark.parametrize(("side", "crop"), [(8, 1), (16, 2), (32, 4)])
def test_images_are_shifted_in_proportion_to_their_size(side, crop) -> None:
    full = filled(Settings(), dataset(90, side))
    assert recipe_of(full).augmentation.crop == crop


@pytest.mark.parametrize("space", networks.NAMES)
def test_every_space_with_a_network_can_be_trained(space) -> None:
    data = dataset(90, 16, channels=1)
    network = network_of(filled(Settings(space=space), data), data)
    assert network.space.name in (space, f"{space}_c8_l3")
    assert jnas.networks.settings(network)[1]["num_classes"] == 4


def test_what_has_no_network_is_not_trained() -> None:
    with pytest.raises(ValueError, match="no network for the space 'transnas_macro'"):
        filled(Settings(space="transnas_macro"), dataset(90, 16))


@pytest.mark.parametrize(
    ("space", "size", "why"),
    [("nds_vanilla", "cells", "a choice of"), ("nasbench_macro", "channels", "fixed")],
)
def test_sizes_that_a_network_has_not_are_refused(space, size, why) -> None:
    with pytest.raises(ValueError, match=f"{size}=? is {why}"):
        filled(Settings(space=space, **{size: 3}), dataset(90, 16))


def test_spaces_of_sizes_have_a_limit_by_the_images() -> None:
    """But where there is another one, where nothing is chosen, and for many images."""

    def limits(num: int, **given) -> tuple[float | None, int | None, int | None]:
        full = filled(Settings(space="nds_resnet", **given), dataset(num, 16))
        return full.max_flops, full.candidates, full.trained

    assert limits(90) == (50_000 * 256, 40, 4)
    assert limits(6_000, trained=1) == (200_000 * 256, 40, 1)
    assert limits(30_000) == (None, 40, 4)
    assert limits(90, max_params=9, candidates=7) == (None, 7, 4)
    assert limits(90, arch="x") == (None, None, None)
    assert filled(Settings(), dataset(90, 16)).max_flops is None


def test_sizes_that_an_architecture_tells() -> None:
    """Those of its text, where it has them and no others are given."""
    space, images = jnas.spaces.nasnet(), dataset(100, 16)
    text = space.to_string(np.array([*[0] * 40, 1, 2]))
    assert text.endswith("width=24, depth=12)")
    settings = Settings(space="nasnet", arch=text)
    full = filled(settings, images, text)
    assert (full.channels, full.cells) == (24, 12)
    arch = network_of(full, images).space.from_string(text)
    assert np.asarray(arch).tolist() == [0] * 40
    usual = filled(settings, images)
    without = text.replace(", width=24, depth=12", "")
    assert filled(settings, images, without) == filled(settings, images, "?") == usual
    given = dataclasses.replace(settings, channels=16)
    assert (filled(given, images, text).channels, filled(given, images, text).cells) == (16, 12)


@pytest.mark.parametrize("space", ["nds_resnet", "nasnet"])
def test_sizes_share_no_weights(space) -> None:
    with pytest.raises(ValueError, match=f"no supernet for the space {space}, .* width and depth"):
        networks.check_shared(space)
    assert networks.check_shared("enas") == "enas"


def test_the_command_line_makes_the_settings_again() -> None:
    from jnas.commands import train

    given = Settings(
        images="my photos", strategy="regularized_evolution", options={"population_size": 5}
    )
    words = shlex.split(given.command_line())
    assert words[:2] == ["jnas", "train"]
    assert words[words.index("--population-size") + 1] == "5"
    assert words[words.index("--images") + 1] == "my photos"
    assert "--from" not in words
    assert train.command.__doc__


def test_batches_of_the_training_are_told_though_a_strategy_has_such_by_default() -> None:
    """`local_search` has an option of that name, too, whose default is 1."""
    words = shlex.split(Settings(strategy="local_search", batch_size=1).command_line())
    assert words[words.index("--batch-size") + 1] == "1"


@pytest.mark.parametrize(
    "given",
    [
        Settings(),
        Settings(images="my photos", stretch=True, validation=40, seed=3),
        Settings(strategy="regularized_evolution", options={"population_size": 5}, minutes=2.5),
        Settings(space="nats_size", recipe="darts", trained=4, max_flops=1e6, learning_rate=0.1),
    ],
)
def test_the_command_of_a_run_parses_to_its_settings(given) -> None:
    full = filled(given, dataset(90, 16))
    _, bound, _ = commands.app.parse_args(shlex.split(full.command_line())[1:])
    parsed, options = bound.arguments["settings"], bound.arguments.get("options")
    told = {} if options is None else strategies.given(options)
    assert dataclasses.replace(parsed, options=told) == full


def test_names_of_folders_tell_what_is_not_by_default() -> None:
    assert Settings().folder_name == "train-digits-nasbench201-quick-seed0"
    plain = Settings(images="a/photos", epochs=5, max_params=1000, seed=3).folder_name
    assert plain == "train-photos-nasbench201-quick-max_params1000-epochs5-seed3"
    fields = {"channels": 3, "minutes": 2.0, "stretch": True, "strategy": "bohb"}
    names = {dataclasses.replace(Settings(), **{k: v}).folder_name for k, v in fields.items()}
    assert len(names) == len(fields)


def test_classes_are_counted_in_every_part() -> None:
    data = jnas.data.load("digits", validation=100, test=50)
    header, *rows, total = counts(data)
    assert header == ["class", "train", "validation", "test"]
    assert total == ["all", 1647, 100, 50]
    assert [sum(row[place] for row in rows) for place in (1, 2, 3)] == total[1:]
    assert majority_share(np.array([0, 1, 1, 2])) == 0.5
