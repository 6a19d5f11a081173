"""Figure of Matplotlib that shows itself in notebooks. Imported when the first figure is made."""

from matplotlib.figure import Figure as _Figure

from jnas.plots.style import figure_png


class Figure(_Figure):
    """Figure that is no pyplot figure, which are the ones that notebooks show by themselves."""

    def _repr_png_(self) -> bytes:
        # At 100 dots an inch, the size that a report shows it in.
        return figure_png(self, dpi=100)
