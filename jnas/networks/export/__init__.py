"""One trained network as files that need no jnas: a Flax module, StableHLO, ONNX.

`describe` makes plain layers of an architecture, its weights and statistics; `write` makes files.
"""

from jnas import _shown
from jnas.networks.export.about import milliseconds
from jnas.networks.export.describe import describe
from jnas.networks.export.description import Plain, num_macs, num_params
from jnas.networks.export.facts import Facts, facts_of
from jnas.networks.export.folder import FORMATS, write

__all__ = [
    "FORMATS",
    "Facts",
    "Plain",
    "describe",
    "facts_of",
    "milliseconds",
    "num_macs",
    "num_params",
    "write",
]

# For completion.
__dir__ = _shown.public(__name__)
