"""AUC of a recurrent network that says whether a cell reaches 90 % (Alshubaily).

Paper: Alshubaily, "Speeding Up Neural Architecture Search By Using Performance Prediction", 2019.
Command: python -m experiments.rnn_classifier
Cost: about 10 minutes on 2 CPU cores.
Expected: AUC well above .5 from 400 cells, and an ensemble of ten from fewer cells about as good
    (the report gives no figure for the classifier alone).

Labels: mean test accuracy above 90 %, which most cells of NAS-Bench-101 reach; their share is
reported too.
"""

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        sizes: training cells.
        members: of the ensembles; 1 is a single network.
        seeds: training sets and trainings.
        num_test: random cells outside all training sets.
    """

    sizes: tuple[int, ...] = (100, 200, 400)
    members: tuple[int, ...] = (1, 10)
    seeds: int = 5
    num_test: int = 20000


CONFIG = Config()
# As small as it runs.
QUICK = dataclasses.replace(CONFIG, sizes=(100,), members=(1, 2), seeds=2, num_test=1000)
