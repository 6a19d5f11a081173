"""Statements of the one-shot study: reproduced, contradicted or left, each with its number.

Paper: Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS
    2021, observations O1 to O8, analyses A1 to A4, suggestions S1 to S5, and those on zero-shot
    scores (Z).
Command: python -m experiments.oneshot_study
Cost: a second; it reads the results of the experiments below.

nb201, nb301, nb1shot1_s3 are NAS-Bench-201, -301 and NAS-Bench-1Shot1's sub-space 3. A verdict is a
comparison of numbers in files of results; "left" names what it needs.
"""

import contextlib
from functools import partial
from typing import NamedTuple

from experiments import oneshot_verdicts as verdicts
from experiments import oneshot_verdicts_spaces as spaces
from experiments import oneshot_verdicts_trained as trained
from experiments import pages, program
from experiments.oneshot_verdicts import Judge, Verdict


class Statement(NamedTuple):
    """Statement of the study.

    Attributes:
        name: as the paper counts them; Z are those on zero-shot scores.
        text: what it says.
        judges: functions that look at results, one for each space or experiment.
        needs: what has not been measured yet, or nothing.
    """

    name: str
    text: str
    judges: tuple[Judge, ...] = ()
    needs: str = ""


STATEMENTS = (
    Statement(
        "O1",
        "longer training ranks better; bad architectures are told apart better than good ones",
        (verdicts.longer_training,),
        "curves of NDS ResNet, and of ResNeXt-A before epoch 1,000",
    ),
    Statement(
        "O2",
        "on NAS-Bench-1Shot1 nothing is gained after 20 epochs, and P@top > P@bottom",
        (verdicts.early_end,),
    ),
    Statement(
        "O3",
        "on NAS-Bench-301 the loss ranks much better than accuracy",
        (verdicts.loss_or_accuracy, spaces.loss_on_resnexta),
    ),
    Statement(
        "O4",
        "NAS-Bench-1Shot1 behaves otherwise than the other two (operations on nodes share more)",
        (verdicts.other_trend,),
    ),
    Statement(
        "O5",
        "on NAS-Bench-201 it is mostly WR@K that gets better later on",
        (verdicts.bad_as_good,),
    ),
    Statement(
        "O6",
        "WorstAcc@5 % on NAS-Bench-301 is higher than on -201",
        (verdicts.still_good, spaces.worst_on_resnexta),
    ),
    Statement(
        "O7a",
        "more validation images help, but not under-trained supernets",
        (trained.more_images, trained.more_batches),
        "NAS-Bench-301 (figure 8), of which scores by batch are not stored",
    ),
    Statement(
        "O7b",
        "scores on CIFAR-10 rank best by the accuracies on any data set",
        (),
        "supernets on three data sets",
    ),
    Statement(
        "O8",
        "fewer channels harm little, fewer layers do",
        (trained.proxies,),
    ),
    Statement(
        "A1",
        "large architectures are underestimated early, less so later",
        (verdicts.large_converge_late, spaces.largest_of_resnexta),
    ),
    Statement(
        "A2",
        "some operations are overestimated beside others",
        (verdicts.operation_bias, spaces.choices_of_resnexta),
    ),
    Statement(
        "A3",
        "training others makes an architecture forget; less so as the rate falls",
        (trained.forgetting,),
    ),
    Statement("A4", "rankings of adjacent checkpoints differ", (verdicts.instability,)),
    Statement(
        "A4b", "those of temporal ensembles differ less (figure 14)", (spaces.steadier_means,)
    ),
    Statement(
        "S1",
        "temporal ensembles help on NAS-Bench-201, and on -301 not the ranking itself",
        (verdicts.score_ensemble, trained.mean_weights),
    ),
    Statement(
        "S2",
        "several architectures a step do not pay",
        (trained.several_samples,),
        "NAS-Bench-301, of which no scores of such supernets are stored",
    ),
    Statement("S3", "sampling classes and not cells helps", (trained.classes_sampled,)),
    Statement(
        "S4",
        "sharing less helps: pruned spaces",
        (trained.pruned,),
        "supernets that a controller prunes while they are trained (figure 17): none are stored",
    ),
    Statement(
        "S4b",
        "sharing more learns faster, and saturates lower (figure 21)",
        (trained.sharing_extents,),
    ),
    Statement(
        "S4c",
        "CLOSE ranks at least as well as a plain supernet after any epoch",
        (trained.close,),
    ),
    Statement(
        "S5",
        "batch norms without scales rank better",
        (trained.no_scales,),
        "NAS-Bench-301 (figure 18), of which scores with scales are not stored",
    ),
    Statement("Z O1", "zero-shot scores rank worse than one-shot ones", (verdicts.zeroshot_worse,)),
    Statement(
        "Z O2",
        "the number of ReLU layers is competitive",
        (verdicts.relu_count, spaces.relus_on_nasbench301),
    ),
    Statement(
        "Z O3",
        "which score is good differs between spaces",
        (verdicts.varying_zeroshot, spaces.zeroshot_on_nasbench301),
    ),
    Statement(
        "Z O4",
        "a vote of three is no better than the best score",
        (
            partial(verdicts.vote, "NAS-Bench-201"),
            partial(verdicts.vote, "NAS-Bench-101"),
            verdicts.stored_vote,
        ),
    ),
    Statement(
        "Z O4b",
        "trained supernet weights do not help zero-shot scores",
        (trained.zeroshot_with_weights,),
    ),
    Statement(
        "Z A1",
        "SynFlow has an excessive preference for the largest",
        (verdicts.largest_preferred, verdicts.leaders),
    ),
    Statement(
        "Z A2",
        "relu_logdet and jacob_cov prefer 1x1 convolutions",
        (verdicts.one_by_one_preferred, verdicts.one_by_one_bias),
    ),
)


def main() -> None:
    """Write and print the page."""
    pages.show("oneshot_study", page())


def page() -> pages.Page:
    """A line for each statement."""
    rows = [["", "statement", "verdict", "numbers"]]
    sources: dict[str, None] = {}
    for statement in STATEMENTS:
        found = [verdict for judge in statement.judges for verdict in _answers(judge)]
        sources |= {source: None for verdict in found for source in verdict.sources}
        needs = statement.needs
        if statement.judges and not found:
            needs = "; ".join(filter(None, ("supernets of ours (oneshot_supernets)", needs)))
        rows.append([statement.name, statement.text, *summary(found, needs)])
    return pages.Page(tuple(sorted(sources)), (rows,))


def _answers(judge: Judge) -> list[Verdict]:
    """The verdict of a judge, or nothing where results are missing."""
    with contextlib.suppress(FileNotFoundError):
        return [judge()]
    return []


def summary(found: list[Verdict], needs: str) -> tuple[str, str]:
    """Verdict in a word or two, and its numbers."""
    if not found:
        return "left", f"needs {needs}"
    answers = {verdict.holds for verdict in found if verdict.holds is not None}
    word = "reproduced" if True in answers else "contradicted" if answers else "undecided"
    if len(answers) > 1:
        word = "reproduced in part"
    numbers = "; ".join(verdict.numbers for verdict in found)
    return word, numbers + (f" (left: {needs})" if needs else "")


if __name__ == "__main__":
    program.run(main, {}, spread=False)
