"""Summary of a run of `jnas train`: how good the network is, what it confuses, what was tried."""

from typing import Any

import numpy as np

from jnas.commands.summary import Part, Summary, facts_of, kendall_tau
from jnas.commands.train import figures, images
from jnas.commands.train.runs import NETWORK, Run
from jnas.commands.train.trainings import Tried
from jnas.training.trained import recipe_facts

# All that a run writes beside its report, but for trained.npz. What it does not write is from an
# earlier run in the folder.
FILES = ("candidates.csv", "confusion.csv", "cell.png", "curves.png", "confused.png", "wrong.png")
_NUM_ROWS = 30  # of a table in the report
_CONVENTION = (
    "fraction of the images of the part whose most probable class is theirs, after the last epoch; "
    "on training images a mean over the steps of the last epoch, on augmented images"
)


def summarise(result: Run) -> Summary:
    """Summary of a run."""
    drawn, tables = figures.of(result), dict[str, list[list[Any]]]()
    tried, answers = result.choice.tried, list[Part]()
    if result.has_answers:
        tables["confusion.csv"] = _confusion(result)
        answers = [
            Part("What it confuses", _about_part(result), _classes(result), ["confused"]),
            Part("What it gets wrong", _about_wrong(result), figures=["wrong"]),
        ]
    if tried is not None:
        tables["candidates.csv"] = _candidates(result, tried)
    parts = [
        Part(_title(result), _legend(result), _accuracies(result), ["cell"], is_printed=True),
        Part("How it learnt", "", figures=["curves"]),
        *answers,
        *([_tried(tried, tables["candidates.csv"])] if tried is not None else []),
        Part("The images", "\n".join(result.notes), images.counts(result.dataset)),
        Part("The network in files", _about_files(result)),
    ]
    return Summary(
        command="jnas train",
        # Some figures are not drawn, such as one of wrong answers where there are none.
        parts=[part._replace(figures=[x for x in part.figures if x in drawn]) for part in parts],
        facts=_facts(result),
        tables=tables,
        figures=drawn,
        stale=FILES,
        files={"Network for jnas predict": "trained.npz"}
        | ({"Network without jnas": NETWORK} if result.files else {}),
    )


# --------------------------------------------------------------------------------------------------
# Numbers.


def _last(result: Run, name: str) -> float | None:
    """Last value of a curve; None where there is none."""
    value = float(result.trained.curves[name][0, -1])
    return value if np.isfinite(value) else None


def _facts(result: Run) -> dict[str, Any]:
    """Facts that a reader needs to trust and repeat the run; what is not known is None."""
    space, tried = result.trained.network.space, result.choice.tried
    return {
        "architecture": space.to_string(result.choice.arch),
        "accuracy": {part: _last(result, f"{part}_accuracy") for part in images.PARTS},
        "loss": {part: _last(result, f"{part}_loss") for part in images.PARTS},
        "accuracy_convention": _CONVENTION,
        "accuracy_of_the_most_frequent_class": images.majority_share(result.labels)
        if len(result.labels)
        else None,
        "status": f"diverged in epoch {result.failed_at}" if result.failed_at else "trained",
        "failed_at": result.failed_at or None,
        "params": result.size.params,
        "macs": result.size.macs,
        "milliseconds_of_one_image": result.size.milliseconds,
        "choice": result.choice.how,
        "cut": list(result.choice.cuts),
        "kendall_tau_with_short_trainings": None if tried is None else _taus(tried),
        "num_tried": None if tried is None else len(tried.archs),
        "classes": list(result.dataset.classes),
        # Not "train" and "validation": what chose is not trained on in the end.
        "trained_on": ["train"],
        "images": {part: len(getattr(result.dataset, part).y) for part in images.PARTS},
        "notes": result.notes,
        "recipe": recipe_facts(result.trained.recipe),
        "epochs": result.choice.epochs,
        "seconds_of_the_training": round(float(result.trained.seconds[0]), 2),
        "files": [f"{NETWORK}/{name}" for name in result.files],
        **facts_of(result),
    }


def _taus(tried: Tried) -> dict[str, float | None]:
    """Kendall's tau-b of scores without training with accuracies of the shortest trainings.

    The number of parameters, under "params", is the baseline of any score.
    """
    if not tried.accuracies:
        return {}
    # The shortest trainings, for they are of the most architectures; the longer ones are of those
    # that were best, among which any correlation is low.
    accuracy = tried.accuracies[min(tried.accuracies)]
    known = np.isfinite(accuracy)
    judged = {**tried.scores, "params": np.array([size.params for size in tried.sizes], float)}
    return {name: kendall_tau(values[known], accuracy[known]) for name, values in judged.items()}


def _confusion(result: Run) -> list[list[Any]]:
    """Rows of `confusion.csv`: a line for each true class, a column for each that was named."""
    classes = result.dataset.classes
    counts = figures.confusion(result)
    return [
        ["class", *classes],
        *([name, *row] for name, row in zip(classes, counts.tolist(), strict=True)),
    ]


def _candidates(result: Run, tried: Tried) -> list[list[Any]]:
    """Rows of `candidates.csv`: a header, and one for each architecture that was looked at."""
    space, order = result.trained.network.space, _order(tried)
    header = ["architecture", *tried.scores, *(f"accuracy_{e}" for e in tried.accuracies)]
    rows: list[list[Any]] = [[*header, "params", "macs", "failure"]]
    for place in order:
        scores = [float(values[place]) for values in tried.scores.values()]
        known = [float(values[place]) for values in tried.accuracies.values()]
        size = tried.sizes[place]
        rows.append(
            [space.to_string(tried.archs[place]), *scores]
            + ["" if np.isnan(value) else value for value in known]
            + [size.params, size.macs, tried.failures.get(place, "")]
        )
    return rows


def _order(tried: Tried) -> list[int]:
    """Places, the longest trained first, of these the best; the others as they were ranked."""
    # `lexsort` sorts by its last key first: the longest trainings, then shorter ones, then the
    # vote.
    keys = [np.arange(len(tried.archs))]
    for epochs in sorted(tried.accuracies):
        values = tried.accuracies[epochs]
        keys.append(np.where(np.isnan(values), np.inf, -values))
    return [int(place) for place in np.lexsort(keys)]


# --------------------------------------------------------------------------------------------------
# Texts and tables for people.


def _title(result: Run) -> str:
    """Heading: what was trained."""
    return f"{result.dataset.name}: a network of {result.trained.network.space.name}"


def _accuracies(result: Run) -> list[list[Any]]:
    """Table of accuracy and loss of each part that has images."""
    rows: list[list[Any]] = [["images", "accuracy", "loss", "number"]]
    for part in images.PARTS:
        number = len(getattr(result.dataset, part).y)
        accuracy, loss = (_last(result, f"{part}_{name}") for name in ("accuracy", "loss"))
        if number:
            rows.append([part, _percent(accuracy), "" if loss is None else f"{loss:.4f}", number])
    return rows


def _percent(value: float | None) -> str:
    """Fraction in percent."""
    return "" if value is None else f"{100 * value:.2f} %"


def _legend(result: Run) -> str:
    """Legend of the table: what the network is, and how it was found."""
    size, space = result.size, result.trained.network.space
    lines = [
        f"Architecture: {space.to_string(result.choice.arch)}",
        f"{size.params:,} parameters, {size.macs / 1e6:,.3g} million multiply-accumulates, "
        f"{size.milliseconds:g} ms for one image on this machine.",
        f"Choice: {result.choice.how}.",
        *(f"Cut: {cut}." for cut in result.choice.cuts),
        f"Trained for {result.choice.epochs} epochs by the recipe {result.settings.recipe}; seed "
        f"{result.settings.seed}. Accuracy on training images is that of augmented ones.",
        _about_training_images(result),
    ]
    if len(result.labels):
        share = _percent(images.majority_share(result.labels))
        lines.append(
            f"Naming always the most frequent class is right for {share} of {result.part}."
        )
    if result.failed_at:
        lines.insert(0, f"The training diverged in epoch {result.failed_at}: it has failed.")
    return "\n".join(lines)


def _about_training_images(result: Run) -> str:
    """Line on which images the weights are from, for some retrain on what they chose by."""
    num = len(result.dataset.validation.y)
    told = f"Its weights are from the {len(result.dataset.train.y):,} training images alone"
    return f"{told}, not from the {num:,} of validation." if num else f"{told}."


def _about_part(result: Run) -> str:
    """Text on the images that the answers are looked at on."""
    unseen = (
        "which nothing was chosen by"
        if result.part == "test"
        else "by which the architecture may have been chosen, for there are no test images"
    )
    return f"Answers to the {len(result.labels):,} images of {result.part}, {unseen}."


def _classes(result: Run) -> list[list[Any]]:
    """Table of each class: how often it is found, and what it is most often taken for."""
    counts, classes = figures.confusion(result), result.dataset.classes
    rows: list[list[Any]] = [["class", "images", "right", "most often taken for"]]
    for label, row in enumerate(counts):
        # Without the diagonal, which is not what a class is taken for.
        others = np.where(np.arange(len(row)) == label, 0, row)
        taken = int(others.argmax())
        told = f"{classes[taken]} ({others[taken]})" if others[taken] else ""
        total = int(row.sum())
        rows.append([classes[label], total, _percent(row[label] / total) if total else "", told])
    return rows


def _about_wrong(result: Run) -> str:
    """Text on the answers that are wrong."""
    wrong = figures.wrong(result)
    if not len(wrong):
        return f"It is right about all images of {result.part}."
    return (
        f"{len(wrong):,} of {len(result.labels):,} images of {result.part}; the first are those "
        "that it is surest about, with its probability of the class that it names."
    )


def _tried(tried: Tried, table: list[list[Any]]) -> Part:
    """Part that lists what was looked at, the best first, of the rows of `candidates.csv`."""
    header, *rows = table
    shown = [[_short(value) for value in row] for row in rows[:_NUM_ROWS]]
    first = f"The first {_NUM_ROWS} of {len(rows):,}; " if len(rows) > _NUM_ROWS else ""
    lines = [f"{first}candidates.csv has all of them. Accuracies are those on validation images."]
    taus = {name: tau for name, tau in _taus(tried).items() if tau is not None}
    if tried.scores and taus:
        told = ", ".join(f"{name} {tau:.2f}" for name, tau in taus.items())
        lines.append(
            f"Kendall's tau-b with the accuracy after {min(tried.accuracies)} epochs: {told}; the "
            "number of parameters is the baseline."
        )
    return Part("What was tried", "\n".join(lines), [header, *shown])


def _short(value: Any) -> Any:
    """Cell of a table for people."""
    return f"{value:.4g}" if isinstance(value, float) else value


def _about_files(result: Run) -> str:
    """Text on the files of the network."""
    if not result.files:
        return "A network that diverged is not exported."
    names = ", ".join(result.files)
    return (
        f"{NETWORK}/ has the network for use without jnas: {names}; README.txt says how.\n"
        "jnas predict RUN IMAGES... names the classes of other images."
    )
