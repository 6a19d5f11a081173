"""The command line: `jnas search`, `jnas fit`, `jnas score`, `jnas data`. Parses, calls the library, writes files.

Exit codes: 0 success, 1 a problem with the input or the files (one line on standard error), 2 wrong usage.
"""

import dataclasses
import sys
import textwrap
import time
from pathlib import Path
from typing import Annotated, Any, get_args

import jax
import numpy as np
import typer

import jnas
from jnas.commands import fit_reports, fits, judges, runs, search_reports, search_settings, searches
from jnas.commands.judges import Materials
from jnas.predictors.training import LossName
from jnas.types import Space

app = typer.Typer(
    help="Rank and search neural architectures, whole populations at once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_FIT, _SEARCH = fits.Settings(), search_settings.Settings()
_NUM_CANDIDATES = 100
_SEARCHES = "Searches by a strategy"
_LOSSES = get_args(LossName)
_OWN, _PAPER = "the predictor's own", "the strategy's own"

SpaceName = Annotated[
    str,
    typer.Option(
        "--space",
        help=f"Search space: {', '.join(jnas.spaces.NAMES)}; untrained networks: {', '.join(jnas.networks.NAMES)}.",
    ),
]
EstimatorName = Annotated[
    str,
    typer.Option(
        "--estimator",
        help=f"What judges: {', '.join(judges.NAMES)}, or a predictor.npz that `jnas fit` has saved.",
    ),
]
Images = Annotated[
    str,
    typer.Option(
        "--images",
        help="What untrained networks see: digits, cifar10, noise, or an .npz file with x \\[N, H, W, C].",
    ),
]
NumImages = Annotated[
    int,
    typer.Option(
        "--num-images", min=2, help="Images of the mini-batch that untrained networks see."
    ),
]
TableFile = Annotated[
    Path | None,
    typer.Option("--table", help="Trained accuracies, .npz or .csv.", show_default="see jnas data"),
]
_USUAL = "test_accuracy, val_accuracy or the first"
Column = Annotated[
    str | None,
    typer.Option("--column", help="Accuracy of the table that counts.", show_default=_USUAL),
]
Seed = Annotated[int, typer.Option("--seed", help="Everything random follows from it.")]
Resume = Annotated[
    bool, typer.Option("--resume/--no-resume", help="Go on with an interrupted run, or start anew.")
]
ChunkSize = Annotated[
    int | None, typer.Option("--chunk-size", min=1, help="Rows of the compiled program.")
]
Progress = Annotated[bool, typer.Option("--progress/--no-progress", help="Show a progress bar.")]


def _searches_option(name: str, text: str, default: str | bool = True) -> Any:
    """An option of searches by a strategy."""
    return typer.Option(name, help=text, show_default=default, rich_help_panel=_SEARCHES)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        print(f"jnas {jnas.__version__}")
        raise typer.Exit


@app.command()
def search(
    space: SpaceName = _SEARCH.space,
    estimator: EstimatorName = _SEARCH.estimator,
    images: Images = "digits",
    num_images: NumImages = 128,
    candidates: Annotated[
        int | None,
        typer.Option(
            "--candidates",
            min=1,
            help="Architectures to draw and score.",
            show_default=f"{_NUM_CANDIDATES}",
        ),
    ] = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Run folder.", show_default="runs/NAME, named after the settings"
        ),
    ] = None,
    chunk_size: ChunkSize = None,
    resume: Resume = True,
    progress: Progress = True,
    strategy: Annotated[
        str, _searches_option("--strategy", f"How to search: {', '.join(jnas.search.NAMES)}.")
    ] = _SEARCH.strategy,
    budget: Annotated[
        int | None,
        _searches_option(
            "--budget", "Evaluations of each search.", f"{search_settings.DEFAULT_BUDGET}"
        ),
    ] = None,
    seeds: Annotated[int, _searches_option("--seeds", "Searches, as one program.")] = _SEARCH.seeds,
    max_seconds: Annotated[
        float | None,
        _searches_option(
            "--max-seconds", "Simulated seconds of each search, by a table.", "no limit"
        ),
    ] = None,
    max_params: Annotated[
        int | None,
        _searches_option(
            "--max-params", "Parameters of the largest architecture allowed.", "no limit"
        ),
    ] = None,
    max_flops: Annotated[
        float | None,
        _searches_option("--max-flops", "Its multiply-accumulate operations.", "no limit"),
    ] = None,
    distinct: Annotated[
        bool, _searches_option("--distinct", "Evaluate isomorphic architectures once.")
    ] = False,
    population_size: Annotated[
        int | None, _searches_option("--population-size", "Members.", _PAPER)
    ] = None,
    sample_size: Annotated[
        int | None,
        _searches_option("--sample-size", "Members that compete to be a parent.", _PAPER),
    ] = None,
    start: Annotated[
        str | None,
        _searches_option("--start", "What chooses the first population of area.", "naswot"),
    ] = None,
    against: Annotated[
        str | None,
        _searches_option(
            "--against",
            f"What nsga2 weighs scores against: {', '.join(search_settings.COSTS)}.",
            "params",
        ),
    ] = None,
    min_epochs: Annotated[
        int | None, _searches_option("--min-epochs", "Shortest training of bohb.", _PAPER)
    ] = None,
    max_epochs: Annotated[
        int | None, _searches_option("--max-epochs", "Longest training of bohb.", _PAPER)
    ] = None,
    table: TableFile = None,
    column: Column = None,
    test_column: Annotated[
        str | None,
        _searches_option(
            "--test-column", "A second accuracy, that answers are looked up in.", "none"
        ),
    ] = None,
    seconds: Annotated[
        str | None,
        _searches_option("--seconds", "Costs of the table.", "those that go with the column"),
    ] = None,
) -> None:
    """Find a good network: draw candidates, score them without training them, keep the best (NASWOT, algorithm 1).

    With a table or any option of the last group: run searches by a strategy, all seeds as one program.

    Answers are checked against trained accuracies. The run folder has scores.csv, or results.csv and histories.npz of
    searches, with result.json, plots and report.html.
    """
    plain = search_settings.Settings(
        space=space, estimator=estimator, images=images, num_images=num_images, seed=seed
    )
    settings = dataclasses.replace(
        plain,
        strategy=strategy,
        budget=budget,
        seeds=seeds,
        max_seconds=max_seconds,
        max_params=max_params,
        max_flops=max_flops,
        distinct=distinct,
        population_size=population_size,
        sample_size=sample_size,
        start=start,
        against=against,
        min_epochs=min_epochs,
        max_epochs=max_epochs,
        table=_text(table),
        column=column,
        test_column=test_column,
        seconds=seconds,
    )
    if settings == plain and estimator != "table":
        materials = Materials(images, num_images)
        return _draw(
            plain, materials, candidates or _NUM_CANDIDATES, out, chunk_size, resume, progress
        )
    for option, value in {"--candidates": candidates, "--chunk-size": chunk_size}.items():
        if value is not None:
            raise ValueError(
                f"{option} does not go with searches by a strategy; their evaluations are the --budget"
            )
    folder = out or Path("runs") / settings.folder_name
    result = searches.run(settings, folder, resume, progress)
    search_reports.write(folder, result)
    return search_reports.show(result, folder)


def _draw(
    plain: search_settings.Settings,
    materials: Materials,
    num: int,
    out: Path | None,
    chunk_size: int | None,
    resume: bool,
    progress: bool,
) -> None:
    """Draw candidates and score them, all with the same random state."""
    space, name, seed = plain.space, plain.estimator, plain.seed
    sees = (
        {"images": materials.images, "num_images": materials.num_images}
        if judges.sees_images(name)
        else {}
    )
    batch = f"-{Path(materials.images).stem}{materials.num_images}" if sees else ""
    folder = out or Path("runs") / f"{space}-{judges.label(name)}{batch}-{num}-seed{seed}"
    nouns = jnas.spaces.by_name(space)
    draw_key, image_key, score_key = jax.random.split(jax.random.key(seed), 3)
    judge = judges.estimator(name, nouns, materials, image_key)
    searcher = jnas.search.random_search(nouns, batch_size=num)
    query, _ = searcher.ask(draw_key, searcher.init(draw_key))
    started = time.monotonic()
    scores = jnas.population.score(
        judge, query.archs, score_key, chunk_size, folder / "scores.npz", resume, progress
    )
    facts = {"space": space, "estimator": name, **sees, "candidates": num, "seed": seed}
    result = runs.summarise(
        nouns, np.asarray(query.archs), np.asarray(scores), facts, time.monotonic() - started
    )
    runs.write(folder, result)
    runs.show(result, folder)


@app.command()
def fit(
    space: Annotated[
        str, typer.Option("--space", help=f"Search space: {', '.join(jnas.spaces.NAMES)}.")
    ] = _FIT.space,
    table: TableFile = None,
    column: Annotated[
        str | None, typer.Option("--column", help="What to predict.", show_default=_USUAL)
    ] = None,
    predictor: Annotated[
        str,
        typer.Option("--predictor", help=f"What is trained: {', '.join(jnas.predictors.NAMES)}."),
    ] = _FIT.predictor,
    num_train: Annotated[
        int,
        typer.Option("--num-train", help="Training architectures, from the front of the table."),
    ] = _FIT.num_train,
    num_test: Annotated[
        int | None,
        typer.Option(
            "--num-test",
            help="Test architectures, from its end.",
            show_default=f"all left, at most {fits.MAX_TEST:,}",
        ),
    ] = None,
    random_split: Annotated[
        bool, typer.Option("--random-split", help="Draw both at random, the same for all seeds.")
    ] = False,
    seeds: Annotated[int, typer.Option("--seeds", help="Trainings, as one program.")] = _FIT.seeds,
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="Of each training.", show_default=_OWN)
    ] = None,
    loss: Annotated[
        str | None, typer.Option("--loss", help=f"{', '.join(_LOSSES)}.", show_default=_OWN)
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            help="Of the loss classification, in the unit of the column.",
            show_default=_OWN,
        ),
    ] = None,
    members: Annotated[
        int, typer.Option("--members", help="Trainings that vote as one ensemble, for each seed.")
    ] = 1,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Run folder.", show_default="runs/fit-NAME, named after the settings"
        ),
    ] = None,
    resume: Resume = True,
    progress: Progress = True,
) -> None:
    """Train a predictor on a table of trained accuracies, and test how well it ranks what it has not seen.

    The run folder holds metrics.csv, result.json, plots, report.html and predictor.npz, which `jnas score --estimator`
    and `jnas search --estimator` take.
    """
    data = (space, _text(table), column, predictor, num_train, num_test, random_split)
    settings = fits.Settings(*data, seeds, epochs, loss, threshold, members, seed)
    folder = out or Path("runs") / settings.folder_name
    result = fits.run(settings, folder, resume, progress)
    fit_reports.write(folder, result)
    fit_reports.show(result, folder)


@app.command()
def score(
    architectures: Annotated[
        list[str] | None, typer.Argument(help="Architecture strings to score.")
    ] = None,
    space: SpaceName = "nasbench201",
    estimator: EstimatorName = "naswot",
    images: Images = "digits",
    num_images: NumImages = 128,
    num: Annotated[
        int | None, typer.Option("--num", min=1, help="Score this many random architectures.")
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Score every architecture of the space.")
    ] = False,
    file: Annotated[
        Path | None, typer.Option("--file", help="Text file, one architecture a line.")
    ] = None,
    table: TableFile = None,
    column: Column = None,
    seed: Seed = 0,
    out: Annotated[
        Path, typer.Option("--out", help="CSV file; progress is kept beside it, as .npz.")
    ] = Path("scores.csv"),
    chunk_size: ChunkSize = None,
    resume: Resume = True,
    progress: Progress = True,
) -> None:
    """Score all, N random, or listed architectures of a space, to a CSV file.

    An interrupted run goes on where it stopped when the same command is given again.
    """
    if out.suffix == ".npz":
        raise ValueError(f"--out is the CSV file (progress is kept beside it, as .npz); got {out}")
    nouns = jnas.spaces.by_name(space)
    draw_key, image_key, score_key = jax.random.split(jax.random.key(seed), 3)
    archs = _population(nouns, architectures or [], num, all_, file, draw_key)
    judge = judges.estimator(
        estimator, nouns, Materials(images, num_images, _text(table), column), image_key
    )
    scores = jnas.population.score(
        judge, archs, score_key, chunk_size, out.with_suffix(".npz"), resume, progress
    )
    values = np.asarray(scores)
    texts = [nouns.to_string(arch) for arch in archs]
    runs.write_csv(out, ("architecture", judges.label(estimator)), zip(texts, values, strict=True))
    best = int(np.argmax(np.where(np.isnan(values), -np.inf, values)))
    print(f"{len(values)} scores in {out}. Best: {texts[best]} ({values[best]:.6g})")


@app.command()
def data(
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Look here, not in $JNAS_DATA.")
    ] = None,
) -> None:
    """List the tables and images that are available here, and where the others come from."""
    print("Tables of trained accuracies")
    for table in jnas.benchmarks.available(folder):
        _entry(
            table.name,
            f"{table.rows:,} rows" if table.rows else "not here",
            table.where,
            _listed(table.columns),
        )
    print("\nImages")
    for source in jnas.images.available(folder):
        number = (
            "any number"
            if source.num is None
            else f"{source.num:,} images"
            if source.num
            else "not here"
        )
        _entry(source.name, number, source.where, " x ".join(map(str, source.shape)))


def _listed(names: tuple[str, ...], most: int = 30) -> str:
    """The names, or only the first of them and how many more there are."""
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _entry(name: str, amount: str, where: str, content: str) -> None:
    print(f"  {name}: {amount}\n      {where}")
    if content:
        print(textwrap.fill(content, 100, initial_indent="      ", subsequent_indent="      "))


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _population(
    space: Space, texts: list[str], num: int | None, all_: bool, file: Path | None, key: jax.Array
) -> np.ndarray:
    """`[B, D]` int32 from the one way that was chosen; ValueError if it is none or several."""
    ways = {
        "architectures": bool(texts),
        "--num": num is not None,
        "--all": all_,
        "--file": file is not None,
    }
    if sum(ways.values()) != 1:
        given = ", ".join(way for way, used in ways.items() if used) or "none"
        raise ValueError(f"say what to score in exactly one way: {', '.join(ways)}; given: {given}")
    if all_:
        return space.enumerate()
    if num is not None:
        return np.asarray(jax.vmap(space.sample)(jax.random.split(key, num)))
    lines = file.read_text().split("\n") if file is not None else texts
    listed = [line.strip() for line in lines if line.strip()]
    if not listed:
        raise ValueError(f"{file} holds no architecture")
    return np.stack([np.asarray(space.from_string(text)) for text in listed])


def main() -> None:
    """Entry point of `jnas` and `python -m jnas`."""
    jnas.population.one_device_per_core()
    try:
        app(standalone_mode=True)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
