"""Options of the strategies, read from their functions."""

import inspect
from typing import Literal

from jnas.commands.search import strategies


def test_every_plain_keyword_is_an_option() -> None:
    options = strategies.all_options()
    size = options["population_size"]
    assert size.kind is int
    assert size.defaults["genetic"] == 64
    assert size.defaults["regularized_evolution"] == 10
    assert options["dies"].kind == Literal["oldest", "worst"]
    assert options["policy"].kind == Literal["factorised", "lstm"]
    assert options["with_replacement"].kind is bool
    assert options["capacity"].defaults == {"random": None, "bohb": 1000}
    for name, option in options.items():
        assert option.text, name
        for strategy in option.defaults:
            assert name in inspect.signature(strategies.function_of(strategy)).parameters
    assert options["order"].defaults == {"darts": 1}
    assert options["num_archs"].defaults == {"rsps": 100, "setn": 100, "enas": 100}
    for name in ("init", "optimiser", "is_allowed", "costs", "estimator"):
        assert name not in options


def test_one_name_is_one_kind_of_value() -> None:
    """A strategy whose option of a known name takes other values needs another name."""
    import typing

    for name, option in strategies.all_options().items():
        for strategy in option.defaults:
            hints = typing.get_type_hints(strategies.function_of(strategy))
            assert strategies._plain(hints[name]) == option.kind, (strategy, name)


def test_options_of_some_strategies_alone() -> None:
    """As for trainings, by which no weights are shared."""
    names = strategies.parsed_class(("eta",), ("random", "bohb")).__dataclass_fields__
    assert {"with_replacement", "min_epochs", "num_samples"} <= set(names)
    assert {"eta", "order", "dies"}.isdisjoint(names)


def test_defaults_of_one_strategy_and_what_was_given() -> None:
    assert strategies.defaults("genetic")["population_size"] == 64
    assert "sample_size" not in strategies.defaults("genetic")
    parsed = strategies.parsed_class()(with_replacement=False, max_draws=3)
    assert strategies.given(parsed) == {"with_replacement": False, "max_draws": 3}
