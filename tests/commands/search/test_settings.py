"""What a search is asked for."""

import dataclasses
import shlex

import pytest

from jnas import benchmarks
from jnas.commands import app
from jnas.commands.search import strategies
from jnas.commands.search.settings import Settings, filled

SHORT = Settings(strategy="regularized_evolution", estimator="table", budget=15, seeds=3)


@pytest.mark.parametrize(
    ("settings", "is_batch"),
    [
        ({}, True),
        ({"estimator": "gates.npz", "space": "nats_size", "seed": 4, "num_images": 3}, True),
        ({"candidates": 3, "table": "mine.csv", "test_column": "test", "max_params": 9}, True),
        ({"candidates": 3, "estimator": "table"}, True),
        ({"estimator": "table"}, False),
        ({"budget": 100}, False),
        ({"max_params": 10**9}, False),
        ({"options": {"max_draws": 7}}, False),
    ],
)
def test_what_is_a_batch_of_candidates(settings, is_batch) -> None:
    assert Settings(**settings).is_batch == is_batch


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"strategy": "bohb"}, "--strategy"),
        ({"budget": 9}, "--budget"),
        ({"seeds": 2}, "--seeds"),
        ({"max_seconds": 9.0, "estimator": "table"}, "--max-seconds"),
        ({"distinct": True}, "--distinct"),
        ({"options": {"batch_size": 2}}, "--batch-size"),
    ],
)
def test_candidates_go_with_no_search(changes, option) -> None:
    with pytest.raises(ValueError, match=f"--candidates does not go with .* which {option} asks"):
        Settings(candidates=9, **changes)


def test_options_of_a_strategy() -> None:
    options = {"min_epochs": 3, "max_draws": 9}
    settings = Settings(strategy="bohb", options=options)
    assert settings.facts() | options == settings.facts()
    assert "options" not in settings.facts()
    with pytest.raises(ValueError, match=r"random has no max_draw\. Did you mean 'max_draws'\?"):
        Settings(options={"max_draw": 9})


def test_folder_is_named_after_the_settings() -> None:
    assert Settings().folder_name == "nasbench201-naswot-digits128-100-seed0"
    assert (
        Settings(estimator="a/b.npz", candidates=7, seed=2).folder_name == "nasbench201-b-7-seed2"
    )
    one = Settings(budget=50)
    assert one.folder_name == "search-nasbench201-random-naswot-digits128-50-1seeds-seed0"
    many = {"with_replacement": False, "max_draws": 9}
    name = dataclasses.replace(one, options=many).folder_name
    assert name == (
        "search-nasbench201-random-naswot-digits128-no_with_replacement-max_draws9-50-1seeds-seed0"
    )
    limits = {
        "max_params": 400_000,
        "max_seconds": 12_000.0,
        "distinct": True,
        "options": {"population_size": 50},
    }
    named = dataclasses.replace(
        SHORT, table="a/mine.npz", column="top", test_column="test", **limits
    )
    name = (
        "search-nasbench201-mine-regularized_evolution-table-top-test"
        "-params400000-seconds12000-population50"
    )
    assert named.folder_name == f"{name}-distinct-15-3seeds-seed0"
    assert (
        "-area-gates-digits128-" in Settings(strategy="area", estimator="a/gates.npz").folder_name
    )
    assert (
        "-area-gates-forest-100-"
        in Settings(strategy="area", estimator="gates.npz", start="forest.npz").folder_name
    )


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, "jnas search --column val_accuracy --candidates 100"),
        (
            {"estimator": "params", "candidates": 7, "seed": 3, "max_flops": 2e7},
            "jnas search --estimator params --column val_accuracy --max-flops 20000000.0 "
            "--seed 3 --candidates 7",
        ),
        (
            {"strategy": "bohb", "estimator": "table", "distinct": True, "seeds": 2}
            | {"options": {"min_epochs": 3}},
            "jnas search --estimator table --column val_accuracy --strategy bohb --budget 100 "
            "--seeds 2 --seconds",
        ),
        (
            {"strategy": "nsga2", "estimator": "params", "against": "flops"},
            "jnas search --estimator params --column val_accuracy --strategy nsga2 --budget 100 "
            "--against flops",
        ),
        ({"strategy": "area", "estimator": "table", "max_seconds": 9.5}, "jnas search --estimator"),
    ],
)
def test_the_command_makes_the_same_settings(settings, line) -> None:
    table = benchmarks.nasbench201("cifar10")
    full = filled(Settings(**settings), table)
    found = full.command_line()
    assert found.startswith(line)
    _, bound, _ = app.parse_args(shlex.split(found)[1:])
    parsed = bound.arguments.get("settings", Settings())
    options = strategies.given(bound.arguments.get("options", strategies.parsed_class()()))
    again = filled(dataclasses.replace(parsed, options=options), table)
    assert again.facts() == full.facts()


def test_the_command_quotes_what_a_shell_would_read() -> None:
    line = Settings(table="my table.csv", estimator="table").command_line()
    assert line == "jnas search --estimator table --table 'my table.csv'"
