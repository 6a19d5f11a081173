"""Pages of results: `results/<experiment>.md`, each written from the JSON files beside it.

python -m experiments.pages            writes every page and their index, results/README.md
python -m experiments.pages --check    names the pages that differ from what would be written

A page is what the experiment says of itself (the docstring of its config, or of the script where it
has none), where it was measured, its tables and its plots. Experiments write theirs at their end.
"""

import argparse
import importlib
import importlib.util
import json
import math
import re
import sys
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, NamedTuple

from experiments import common, ledger

NAMES = (
    "alshubaily",
    "bench_nds",
    "bench_networks",
    "bench_oneshot",
    "bench_predictors",
    "bench_search",
    "bench_spaces",
    "bench_training",
    "bench_zeroshot",
    "beyond_gates",
    "digits201",
    "digits201_pilot",
    "digits201_scores",
    "gates_enas",
    "gates_encoders",
    "gates_losses",
    "gates_search",
    "gates_validation",
    "kill_test",
    "latency_transfer",
    "nasbench301_predictors",
    "nasbench301_search",
    "nasbench301_zeroshot",
    "naswot_ablations",
    "naswot_correlation",
    "naswot_table1",
    "naswot_table2",
    "naswot_training",
    "nds_zeroshot",
    "oneshot_axis",
    "oneshot_batches",
    "oneshot_close",
    "oneshot_figures",
    "oneshot_forgetting",
    "oneshot_nasbench301",
    "oneshot_nb1shot1",
    "oneshot_published",
    "oneshot_search",
    "oneshot_spaces",
    "oneshot_study",
    "oneshot_supernets",
    "pareto_latency",
    "real_training",
    "renas_fidelity",
    "renas_search",
    "renas_table2",
    "renas_table5",
    "rnn_classifier",
    "zeroshot_conventions",
    "zeroshot_proxies",
)
UNKNOWN = "–"

Rows = list[list[str]]


class Page(NamedTuple):
    """Content of a page.

    Attributes:
        sources: names of the JSON files that the tables are from.
        tables: rows of text; the first row of a table is its header.
        plots: files of the folder of results.
        notes: sentences below the tables.
    """

    sources: tuple[str, ...]
    tables: tuple[Rows, ...]
    plots: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read(name: str) -> dict[str, Any]:
    """Content of `results/<name>.json`."""
    content: dict[str, Any] = json.loads((common.RESULTS / f"{name}.json").read_text())
    return content


def of_devices(name: str) -> dict[str, dict[str, Any]]:
    """Name → content of a benchmark's results, one for each kind and number of devices."""
    paths = sorted(common.RESULTS.glob(f"{name}_*.json"))
    return {path.stem: read(path.stem) for path in paths}


def beside(
    found: dict[str, Any] | None, paper: float | None = None, key: str = "kendall_tau"
) -> str:
    """A measured value and the paper's in brackets, either of which may be unknown."""
    mine = number(None if found is None else found[key])
    return mine if paper is None else f"{mine} ({number(paper)})"


def number(value: float | None, digits: int = 3) -> str:
    """A decimal, a half rounded up as in print, or a dash for what is unknown or undefined."""
    if value is None or math.isnan(value):
        return UNKNOWN
    # Python would round a half to the even digit, and binary floats below it.
    return str(Decimal(str(value)).quantize(Decimal(10) ** -digits, ROUND_HALF_UP))


def values(title: str, content: dict[str, Any]) -> Rows:
    """A table of all numbers of a benchmark."""
    numbers = {name: value for name, value in content.items() if isinstance(value, int | float)}
    rows = [[name.replace("_", " "), f"{value:,.6g}"] for name, value in numbers.items()]
    return [[title, "value"], *rows]


def text(name: str, page: Page) -> str:
    """Content of `results/<name>.md`."""
    title, _, prose = _docstring(name).partition("\n")
    measured = (
        f"`{source}.json`: {_place(read(source)['environment'])}." for source in page.sources
    )
    plots = (f"![{Path(plot).stem.replace('_', ' ')}]({plot})" for plot in page.plots)
    parts = [
        f"# {title.removesuffix('.')}",
        _as_list(prose.strip()),
        "Measured: " + " ".join(measured),
        *map(ledger.markdown, page.tables),
        *page.notes,
        *plots,
        "Written by `python -m experiments.pages`. [All results](README.md)",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def show(name: str, page: Page) -> None:
    """Write a page, and print its tables."""
    path = common.RESULTS / f"{name}.md"
    common.replace(path, text(name, page))
    print("\n\n".join([*map(ledger.markdown, page.tables), *page.notes]))
    print(f"written: {', '.join(f'{source}.json' for source in page.sources)} and {path.name}")


def files() -> dict[str, str]:
    """File name → content of every page, and of the index of them."""
    modules = {name: importlib.import_module(f"experiments.{name}") for name in NAMES}
    pages = {f"{name}.md": text(name, module.page()) for name, module in modules.items()}
    return {"README.md": _index(pages)} | pages


def stale() -> list[str]:
    """Names of the files that differ from what would be written."""
    paths = {common.RESULTS / name: content for name, content in files().items()}
    return [
        path.name
        for path, content in paths.items()
        if not path.exists() or path.read_text() != content
    ]


def _index(pages: dict[str, str]) -> str:
    rows = [["page", "what"]]
    for name, content in pages.items():
        title = content.partition("\n")[0].removeprefix("# ")
        rows.append([f"[{name.removesuffix('.md')}]({name})", title])
    return f"# Results\n\n{ledger.markdown(rows)}\n"


def _docstring(name: str) -> str:
    """The docstring of the config, or of the script where there is no config."""
    has_config = importlib.util.find_spec(f"configs.{name}") is not None
    module = importlib.import_module(f"{'configs' if has_config else 'experiments'}.{name}")
    return (module.__doc__ or "").strip()


def _as_list(prose: str) -> str:
    """The lines on paper, command, cost and expectation as items of a list."""
    return re.sub(r"^((Paper|Command|Cost|Expected)s?: )", r"- \1", prose, flags=re.MULTILINE)


def _place(environment: dict[str, Any]) -> str:
    versions = f"jax {environment['jax']}, jnas {environment['jnas']}"
    return f"{environment['device']}, {environment['cpu_cores']} cores, {versions}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write all pages, or fail with the names of those that are not up to date."""
    parser = argparse.ArgumentParser(description="Pages of results.")
    parser.add_argument("--check", action="store_true", help="only name those that would change")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="folder of the results")
    options = parser.parse_args(arguments)
    common.RESULTS = options.out or common.RESULTS
    if options.check:
        old = stale()
        sys.exit(f"not up to date: {', '.join(old)}" if old else 0)
    for name, content in files().items():
        common.replace(common.RESULTS / name, content)
    print(f"written: {len(NAMES)} pages and their index in {common.RESULTS}")


if __name__ == "__main__":
    main()
