"""True accuracies of three spaces, accuracy beside loss, and what zero-shot scores prefer.

Paper: Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS
    2021, figures 6 (true accuracies; one-shot accuracy and loss), 19 (the best cells by SynFlow)
    and 20 (1x1 beside 3x3 convolutions).
Command: python -m experiments.oneshot_figures
Cost: 20 seconds on a CPU, the data of `oneshot_published` in $JNAS_DATA, and the scores that
    `zeroshot_proxies scores` keeps.
Expected: the best cells by SynFlow are the largest and not the most accurate; relu_logdet and
    jacob_cov overestimate 1x1 beside 3x3 convolutions; the true accuracies of NAS-Bench-301's best
    cells lie closer together than those of NAS-Bench-1Shot1.

A bias is the change of the rank difference, divided by the number of cells, where one operation
replaces another: positive where the score overestimates the new one (least squares over all cells).
"""

SHARES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)  # true ranks, from the best
LEADERS = ("synflow", "snip", "grad_norm", "fisher", "grasp")  # whose best cells are shown
NUM_LEADERS = 3
BIASED = ("relu_logdet", "jacob_cov", "synflow")
