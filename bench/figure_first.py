#!/usr/bin/env python3
"""Draws the histogram of a space with Matplotlib: figure_first.py VALUES MARKS OUT, as bench/figure does.

Without pyplot and with text as text, which are the fastest ways to an SVG."""
import sys

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

matplotlib.rcParams["svg.fonttype"] = "none"
path, marks, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
numbers = 100 * np.fromfile(path, "<f8")
values, marks = numbers[: len(numbers) - marks], numbers[len(numbers) - marks :]
places = [2, 10, 25, 50, 75, 90, 99, 99.9, 100]
at = dict(zip(places, np.percentile(values, places)))

figure = Figure(figsize=(8.6, 4))
FigureCanvasSVG(figure)
axes = figure.add_subplot()
axes.hist(values, bins=150, range=(at[2], at[100]), histtype="stepfilled", color="#c6d0da", edgecolor="#6f8090")
axes.set_xlim(at[2], at[100])
axes.set_title("A space and what was found in it")
axes.set_xlabel("test accuracy (%)")
axes.set_ylabel("architectures")
axes.grid(True)
above = axes.secondary_xaxis("top")
above.set_xticks([at[p] for p in places[1:-1]], [str(p) for p in places[1:-1]])
for i, value in enumerate(marks):
    axes.axvline(value, color="C%d" % (i % 10))
    axes.annotate("seed %d %.2f" % (1268 + i, value), (value, 0.97 - 0.06 * i), xycoords=("data", "axes fraction"), ha="right")
outside = np.count_nonzero(values < at[2])
figure.text(0.02, 0.01, "%d values: median %.2f, best %.2f. Outside the axis lie %d" % (len(values), at[50], at[100], outside))
figure.savefig(out, format="svg")
