"""Command `jnas report`: several strategies that searched the same, compared in one report."""

import csv
import itertools
import json
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from cyclopts import Parameter

from jnas import plots
from jnas.commands import estimators
from jnas.commands import folder as run_folders
from jnas.commands.options import Folder
from jnas.commands.paired import holm, sign_flip_test
from jnas.commands.search import evaluation
from jnas.commands.summary import Part, Summary, show, spread, write
from jnas.commands.truth import header
from jnas.engine import files
from jnas.engine.environment import environment
from jnas.types import History

# What must be equal for searches to be paired: all but the strategies and their own options.
_SAME = (
    *("space", "estimator", "images", "num_images", "table", "column", "minimize", "duplicates"),
    *("within_table", "test_column", "max_params", "max_flops", "limit", "max_seconds", "seconds"),
    *("seed", "budget", "seeds"),
)
FILES = ("pairs.csv", "curves.png", "result.json")


class Run(NamedTuple):
    """Finished searches of one folder.

    Attributes:
        folder: where they are.
        settings: by name.
        truth: facts of the tables that their answers were checked by.
        best: `[S, T]`, the best score so far; NaN while there is none.
        evaluations: `[S]`.
        answers: name → `[S]`, what the answers are worth: trained accuracies, and the score where
            it is no accuracy. NaN where unknown.
        minimized: names of those that are better when smaller.
        minimize: whether the score is.
    """

    folder: Path
    settings: dict[str, Any]
    truth: list[dict[str, Any]]
    best: np.ndarray
    evaluations: np.ndarray
    answers: dict[str, np.ndarray]
    minimized: frozenset[str]
    minimize: bool


def read(folder: Path) -> Run:
    """Finished searches of a run folder.

    Raises:
        ValueError: the folder has no searches by a strategy, or they cannot be read.
    """
    # Or a comparison that is put into the folder of a run would replace a part of it.
    for name in ("result.json", "results.csv", "histories.npz"):
        files.reading(folder / name, "a part of a run to compare")
    try:
        facts = json.loads((folder / "result.json").read_text())
        with (folder / "results.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        settings, truth = dict(facts["settings"]), list(facts["truth"])
        names = [header(check["column"]) for check in truth]
        # On a table the score is the first of the accuracies.
        names = names if settings["estimator"] == "table" and names else ["score", *names]
        answers = {name: _numbers(rows, name) for name in names}
        scores = _numbers(rows, "score")
        minimize = bool(facts.get("minimize"))
        # Runs of earlier versions do not say, for all of theirs were maximised.
        minimized = frozenset(header(check["column"]) for check in truth if check.get("minimize"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder} holds no finished searches by a strategy, as jnas search --strategy makes "
            "them"
        ) from error
    histories, _ = evaluation.load(folder)
    evaluations = np.asarray(histories.num_evaluations)
    best = _best(histories)
    # Histories have what is larger for better; people read the column as it is.
    best = _in_unit(-best if minimize else best, scores)
    return Run(folder, settings, truth, best, evaluations, answers, minimized, minimize)


def _numbers(rows: Sequence[dict[str, str]], name: str) -> np.ndarray:
    """Column `[S]` of `results.csv`; NaN where a search has no answer."""
    return np.array([float(row[name] or "nan") for row in rows])


def _best(histories: History) -> np.ndarray:
    """Best score so far `[S, T]` of histories; NaN while there is none that can be ranked."""
    best = np.asarray(histories.best_so_far)
    return np.where(np.isfinite(best), best, np.nan)


def _in_unit(best: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Best so far `[S, T]` float64, in the unit of the answers' scores `[S]`.

    Programs have a column beyond float32 divided by a power of two; see `Table.estimator`.
    """
    # The last of each search is known in both units; a power of two between them is exact, so that
    # the nearest one is no guess.
    last = best[:, -1].astype(np.float64)
    # Nothing tells the unit of 0, and little that of numbers near it, which programs may move.
    known = np.isfinite(scores) & np.isfinite(last) & (scores != 0) & (last != 0)
    exponents = np.round(np.log2(np.abs(scores[known] / last[known])))
    in_unit: np.ndarray = np.ldexp(best.astype(np.float64), int(max(exponents, default=0)))
    return in_unit


def compare(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Paired comparisons of every two runs in everything that their answers are worth.

    Returns:
        A dict each: "answers by", "one", "other", the number of "pairs", the mean "difference" (one
        minus other; None without a pair), how often one was "better" and "worse", and "p", adjusted
        by Holm for all pairs in the same.
    """
    names, rows = labels(runs), []
    for column in runs[0].answers:
        some = []
        for (one, a), (other, b) in itertools.combinations(zip(names, runs, strict=True), 2):
            # Seed by seed, for searches from one seed begin alike; without an answer no pair.
            gap = a.answers[column] - b.answers[column]
            gap = gap[np.isfinite(gap)]
            # The difference itself stays in the unit of the column, of which people read the sign.
            gain = -gap if column in a.minimized else gap
            some.append(
                {
                    "answers by": column,
                    "one": one,
                    "other": other,
                    "pairs": len(gap),
                    "difference": float(gap.mean()) if len(gap) else None,
                    "better": int(np.sum(gain > 0)),
                    "worse": int(np.sum(gain < 0)),
                    "p": sign_flip_test(gap),
                }
            )
        # All that is told of one column must hold together; columns are questions of their own.
        for row, p in zip(some, holm(np.array([row["p"] for row in some])), strict=True):
            rows.append(row | {"p": float(p)})
    return rows


def check(runs: Sequence[Run]) -> None:
    """Check that searches differ only in their strategies; ValueError names what differs."""
    if len(runs) < 2:
        raise ValueError("a comparison needs two run folders or more")
    first, *others = runs
    for other in others:
        for name in _SAME:
            one, two = (str(run.settings.get(name)) for run in (first, other))
            if one != two:
                raise ValueError(
                    f"{first.folder} and {other.folder} differ in {name} ({one} and {two}); only "
                    "searches that differ in their strategies alone can be paired"
                )
        # Not by the name of the file, behind which the table may have been made anew since.
        if _tables(first) != _tables(other):
            raise ValueError(
                f"{first.folder} and {other.folder} were checked by different tables, of which "
                "one has changed since"
            )


def _tables(run: Run) -> list[list[Any]]:
    """What is told of the tables that the answers of a run were checked by."""
    names = "column", "table_rows", "best_of_table"
    return [[table[name] for name in names] for table in run.truth]


def labels(runs: Sequence[Run]) -> list[str]:
    """Labels of runs: their strategies, or else their folders; ValueError for a folder twice."""
    # The shortest that tells them apart.
    for of in (lambda run: run.settings["strategy"], lambda run: run.folder.name, _path):
        names = [of(run) for run in runs]
        if len(set(names)) == len(names):
            return names
    raise ValueError(f"a folder is given twice: {', '.join(str(run.folder) for run in runs)}")


def _path(run: Run) -> str:
    """Path of the folder of a run."""
    return str(run.folder.resolve())


def summarise(runs: Sequence[Run]) -> Summary:
    """Summary of a comparison."""
    started = time.monotonic()
    check(runs)
    names, pairs, settings = labels(runs), compare(runs), runs[0].settings
    judge = estimators.score_label(settings["estimator"], settings["column"])
    title = f"{settings['space']}: {len(runs)} strategies on {judge}"
    # Strategies that train the weights of their own evaluate what they answer with.
    budget = settings["budget"]
    at_most = f", of {budget:,} evaluations at most" if budget else ""
    legend = (
        f"{settings['seeds']:,} searches each{at_most}, from the same seeds.\n"
        "Mean and standard deviation of what the answers are worth."
    )
    first, *others = [_tests(column, pairs) for column in runs[0].answers]
    return Summary(
        command="jnas report",
        parts=[
            Part(title, legend, _means(names, runs), ["curves"], is_printed=True),
            first._replace(is_printed=True),
            *others,
        ],
        facts=_facts(runs, pairs) | {"seconds": round(time.monotonic() - started, 2)},
        tables={"pairs.csv": [list(pairs[0]), *(list(row.values()) for row in pairs)]},
        figures={"curves": (f"Best {judge} so far.", _curves(names, runs, judge, title))},
    )


def _facts(runs: Sequence[Run], pairs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Facts that a reader needs to trust and repeat the comparison."""
    folders = [str(run.folder) for run in runs]
    same = {name: runs[0].settings.get(name) for name in _SAME}
    return {
        "command": shlex.join(["jnas", "report", *folders]),
        "pairs": pairs,
        "settings": same | dict(zip(labels(runs), folders, strict=True)),
        "environment": environment(),
    }


def _means(names: Sequence[str], runs: Sequence[Run]) -> list[list[str]]:
    """Table for people: a row for each strategy."""
    columns = list(runs[0].answers)
    rows = [["strategy", *columns, "evaluations"]]
    for name, run in zip(names, runs, strict=True):
        worth = [spread(run.answers[column]) for column in columns]
        rows.append([name, *worth, f"{run.evaluations.mean():,.0f}"])
    return rows


def _tests(column: str, pairs: Sequence[dict[str, Any]]) -> Part:
    """Part of the paired tests by one column."""
    rows = [["one", "other", "one - other", "wins", "p"]]
    for row in pairs:
        gap = row["difference"]
        if row["answers by"] == column:
            told = "" if gap is None else f"{gap:+.3g}", f"{row['better']}:{row['worse']}"
            rows.append([row["one"], row["other"], *told, f"{row['p']:.2g}"])
    text = (
        "One - other: mean difference, seed by seed. Wins: of one, and of the other.\n"
        "p: how likely so large a difference is by chance, two-sided, by changing the signs of the "
        "pairs;\nadjusted by Holm for all pairs of strategies."
    )
    return Part(f"Paired tests: {column}", text, rows)


def _curves(names: Sequence[str], runs: Sequence[Run], judge: str, title: str) -> Any:
    """Figure of the best so far of all strategies."""
    truth, settings = runs[0].truth, runs[0].settings
    is_on_table = settings["estimator"] == "table" and truth
    return plots.search_curves(
        {name: run.best for name, run in zip(names, runs, strict=True)},
        lines={"best of the table": truth[0]["best_of_table"]} if is_on_table else {},
        y_label=f"best {judge} so far",
        title=title,
        minimize=runs[0].minimize,
    )


def _check_is_free(place: Path) -> None:
    """Check that a folder holds no run of another command; ValueError otherwise."""
    # A comparison is made anew in seconds, and may be replaced; a search may not, by one.
    try:
        facts = json.loads((place / "result.json").read_text())
    except FileNotFoundError:
        return
    if not str(facts.get("command")).startswith("jnas report"):
        raise ValueError(f"--out is {place}, which holds a run of another command")


def command(
    *folders: Annotated[Path, Parameter(help="Run folders of jnas search --strategy.")],
    folder: Folder = Folder(),  # noqa: B008
) -> None:
    """Compare strategies that searched the same: curves, means and paired tests in one report.

    The run folders may differ in the strategy and its options only.
    """
    runs = [read(path) for path in folders]
    told = summarise(runs)
    place = folder.named("-".join(["report", *(Path(name).name for name in labels(runs))]))
    run_folders.check(place, FILES, None)
    _check_is_free(place)
    write(place, told)
    show(told, place)
