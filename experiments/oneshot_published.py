"""Every analysis on the scores that the authors of the one-shot study stored, beside their numbers.

python -m experiments.oneshot_published                 (configs/oneshot_published.py)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from configs import oneshot_published as config
from configs.oneshot_published import Published
from experiments import common, oneshot_curves, pages, program
from experiments import oneshot_pictures as pictures
from experiments import oneshot_stored as stored

NAME = "oneshot_published"


def main(drops: int = config.DROPS) -> None:
    """Print, plot and keep the numbers of all spaces beside the published ones."""
    cells, s3, widths = (
        stored.read(name) for name in ("nasbench301_ose", "nb1shot1_s3", "nds_resnexta_ose")
    )
    rows = {
        "NAS-Bench-301": beside(config.NASBENCH301, stored.nasbench301(cells)),
        "NAS-Bench-1Shot1": beside(config.NB1SHOT1_S3, stored.nb1shot1(s3)),
        "ResNeXt-A": beside(config.RESNEXTA, stored.resnexta(widths, stored.read("nds_resnexta"))),
        "NAS-Bench-201": beside(config.NASBENCH201, stored.nasbench201()),
        "zero-shot, NAS-Bench-301": zeroshot(),
        "training": training(),
    }
    common.write_json(
        NAME,
        {
            "rows": rows,
            "groups": {
                "NAS-Bench-301": stored.by_flops(cells, cells["flops"], drops),
                "NAS-Bench-1Shot1": stored.by_flops(
                    s3, oneshot_curves.costs("nb1shot1_s3")[0]["flops"], 0
                ),
            },
            "curves": stored.curves(cells, s3),
            "summary": {space: stored.summary(space) for space in oneshot_curves.SPACES},
            "ensembles": {
                "NAS-Bench-301": stored.ensembles(cells),
                "NAS-Bench-1Shot1": stored.ensembles(s3),
            },
            "mutations": {
                "NAS-Bench-301": stored.mutations_301(cells),
                "NAS-Bench-1Shot1": stored.mutations_s3(s3),
            },
            "stability": {
                "NAS-Bench-301": stored.stability(cells),
                "NAS-Bench-1Shot1": stored.stability(s3),
            },
        },
    )
    pictures.draw(pages.read(NAME))
    pages.show(NAME, page())


def zeroshot() -> list[dict[str, Any]]:
    """Tau of the zero-shot scores of NAS-Bench-301, from the stored criteria."""
    arrays = stored.read("oneshot_curves")
    criteria = arrays["nb301_zeroshot_criteria"].tolist()
    taus = arrays["nb301_zeroshot"][:, :, -1, criteria.index("kendall")]
    tops = arrays["nb301_zeroshot"][:, :, -1, criteria.index("p_top@0.05")]
    names = arrays["nb301_zeroshot_scores"].tolist()
    rows = []
    for name, paper in config.ZEROSHOT.items():
        place = names.index(name)
        row = beside(
            (Published(f"tau of {name}", (paper,)),), stored.as_lists([taus[place].mean()])
        )[0]
        deviation, top = float(taus[place].std(ddof=1)), float(tops[place].mean())
        rows.append(row | {"deviation": round(deviation, 3), "p_top": round(top, 3)})
    return rows


def training() -> list[dict[str, Any]]:
    """Anchors of the training logs of the first seed."""
    arrays, rows = stored.read("oneshot_curves"), []
    for space, anchors in config.TRAINING.items():
        places = np.array(list(anchors)) - 1
        epochs = ", ".join(f"{epoch:,}" for epoch in anchors)
        for which, kind in enumerate(("loss", "accuracy")):
            paper = tuple(pair[which] for pair in anchors.values())
            found = stored.as_lists(arrays[f"{space}_train_{kind}"][0, places])
            rows += beside((Published(f"{space}: {kind} at epochs {epochs}", paper),), found)
    return rows


def beside(
    published: Sequence[Published], found: Sequence[Sequence[float]]
) -> list[dict[str, Any]]:
    """Rows of published and found numbers, and the largest difference of each."""
    rows = []
    for known_row, values in zip(published, found, strict=True):
        pairs = list(zip(known_row.values, values, strict=True))
        largest = max(abs(a - b) for a, b in pairs)
        rows.append(
            {
                "what": known_row.what,
                "published": list(known_row.values),
                "found": [round(value, 4) for value in values],
                "difference": round(largest, 4),
            }
        )
    return rows


def page() -> pages.Page:
    """Found numbers beside the published ones, space by space."""
    content = pages.read(NAME)
    tables = []
    for space, rows in content["rows"].items():
        table = [[space, "found", "published", "largest difference"]]
        for row in rows:
            digits = 4 if space == "ResNeXt-A" else 3
            found, paper = (
                ", ".join(pages.number(v, digits) for v in row[key])
                for key in ("found", "published")
            )
            extra = f" ± {row['deviation']:.3f}" if "deviation" in row else ""
            table.append([row["what"], found + extra, paper, pages.number(row["difference"])])
        tables.append(table)
    return pages.Page(
        (NAME,), (*tables, _criteria(content), _mutation(content)), pictures.FILES, _notes(content)
    )


def _criteria(content: dict[str, Any]) -> pages.Rows:
    """Differences of six criteria at the ten checkpoints from those in the authors' files."""
    names = list(next(iter(content["curves"].values())))
    rows = [["criteria of 100, 200, … 1,000 epochs: mean (largest) difference", *names]]
    for curve, found in content["curves"].items():
        cells = (
            f"{pages.number(v['mean'])} ({pages.number(v['largest'])})" for v in found.values()
        )
        rows.append([curve, *cells])
    return rows


def _mutation(content: dict[str, Any]) -> pages.Rows:
    """Rises of accuracy and of its estimate where skip becomes a dilated convolution."""
    table = content["mutations"]["NAS-Bench-301"]
    a, b = (table["operations"].index(name) for name in ("skip", "dil 3x3"))
    up, pairs, score_up = config.SKIP_TO_DIL3
    header = ["skip → dil 3x3 on NAS-Bench-301", "pairs", "accuracy rises", "estimate rises"]
    every, scored = (f"{table[name][a][b]}" for name in ("pairs_with_truth", "pairs"))
    found = [pages.number(table[name][a][b]) for name in ("truth_up_of_all", "score_up")]
    return [
        header,
        ["published", f"{pairs:,}", pages.number(up), pages.number(score_up)],
        ["here", f"{every}, {scored} with a score", *found],
    ]


def _notes(content: dict[str, Any]) -> tuple[str, ...]:
    """Sentences on what is off by more than the tolerance, and on how much may be by chance."""
    off = [
        f"{space}, {row['what']} ({pages.number(row['difference'])})"
        for space, rows in content["rows"].items()
        for row in rows
        if row["difference"] > config.TOLERANCE
    ]
    errors = content["groups"]["NAS-Bench-301"]["accuracy"]
    texts = (
        ", ".join(pages.number(v) for v in errors[f"{n}_error"])
        for n in ("rank_difference", "kendall")
    )
    spread = (
        "Standard errors of the fifths of FLOPs, accuracy, from scores that are not stored: rank "
        "difference {}; tau inside {}."
    )
    return (
        f"Further off than {config.TOLERANCE}: {'; '.join(off) or 'nothing'}.",
        spread.format(*texts),
        "Of NAS-Bench-1Shot1 the third seed repeats the first at epochs 1 to 15, as stored.",
    )


if __name__ == "__main__":
    program.run(main, {"drops": 2}, spread=False)
