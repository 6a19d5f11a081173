"""CLOSE: banks of weights, a gate that chooses among them, a curriculum that opens them."""

from jnas import _shown
from jnas.oneshot.close.depths import by_depth
from jnas.oneshot.close.growth import CURRICULA, curriculum, partition, partitions
from jnas.oneshot.close.sharing import close

__all__ = ["CURRICULA", "by_depth", "close", "curriculum", "partition", "partitions"]

# For completion.
__dir__ = _shown.public(__name__)
