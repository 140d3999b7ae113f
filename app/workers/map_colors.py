"""The library's colours of probability maps, for the window."""

from msarcnn.heatmap_colors import best_cells, colored, colored_difference, strongest

__all__ = ["best_cells", "colored", "colored_difference", "strongest"]
