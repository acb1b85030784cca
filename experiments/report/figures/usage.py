"""Figures 6 to 9: how much each bank vector is used, by depth, module and side; how often; where they lie."""

import re

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from experiments.report.figures import style
from experiments.report.figures.sources import Run
from vblora.footprint import SIDES, Footprint

PERPLEXITY = 30  # of t-SNE, scikit-learn's default; less where there are fewer points
NUM_ITERATIONS = 500  # of t-SNE; 1,000, the default, end at the same divergence within 1 %


def by_depth(run: Run) -> Figure:
    """Figure 6: the weights that each vector gets, summed over each third of the layers."""
    layers = torch.tensor([_layer(name) for name in run.footprint.sites])
    number = int(layers.max()) + 1
    third = torch.tensor([min(int(layer) * 3 // number, 2) for layer in layers])
    names = ("first", "middle", "last")
    groups = {
        f"{names[part]} third of the layers": third == part
        for part in range(3)
        if bool((third == part).any())
    }
    return _sums(run.footprint, {name: sites[run.footprint.site.long()] for name, sites in groups.items()})


def by_module(run: Run) -> Figure:
    """Figure 7: the same sums by module (query, value) and side (A, B)."""
    found = run.footprint
    roles = [name.rpartition(".")[2] for name in found.sites]
    groups: dict[str, Tensor] = {}
    for role in dict.fromkeys(roles):
        own = torch.tensor([each == role for each in roles])[found.site.long()]
        groups |= {f"{role}, {side}": own & (found.side == number) for number, side in enumerate(SIDES)}
    return _sums(found, groups)


def histogram(run: Run) -> Figure:
    """Figure 8: how many bank vectors are used how often."""
    usage = run.footprint.usage().numpy()
    figure, axes = style.new(2.4)
    axis = axes[0][0]
    bins = np.arange(usage.min(), usage.max() + 2) if np.ptp(usage) < 60 else 40
    axis.hist(usage, bins=bins, color=style.BLUE, edgecolor="white", linewidth=0.3, align="left")
    low, high = np.percentile(usage, [5, 95])
    axis.set_xlabel(
        f"sub-vectors that select a vector (median {np.median(usage):.0f}, 90 % {low:.0f} to {high:.0f})"
    )
    axis.set_ylabel("bank vectors")
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def positions(run: Run) -> Figure:
    """Figure 9: bank vectors and sub-vectors in two dimensions, by t-SNE."""
    from sklearn.manifold import TSNE  # takes seconds to import
    from threadpoolctl import threadpool_limits

    bank, composed = run.footprint.vectors.numpy(), run.footprint.subvectors().numpy()
    points = np.concatenate([bank, composed])
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, max_iter=NUM_ITERATIONS, init="pca", random_state=0)
    with threadpool_limits(1):  # several threads wait for each other: ten times slower on a busy machine
        placed = tsne.fit_transform(points)
    figure, axes = style.new(3.6, top=style.LEGEND)
    axis = axes[0][0]
    own = placed[len(bank) :]
    axis.plot(own[:, 0], own[:, 1], ".", color=style.SKY, markersize=3, label=f"sub-vectors ({len(own):,})")
    axis.plot(
        *placed[: len(bank)].T, "D", color=style.RED, markersize=3.5, label=f"bank vectors ({len(bank):,})"
    )
    axis.set_xlabel("t-SNE, first dimension")
    axis.set_ylabel("t-SNE, second dimension")
    axis.set_xticks([])
    axis.set_yticks([])
    style.legend(figure, style.labelled(axes))
    return figure


def _sums(found: Footprint, groups: dict[str, Tensor]) -> Figure:
    """Bars of summed weights, a panel a group; vectors in the order of their norms."""
    order = found.vectors.norm(dim=1).argsort(descending=True)
    figure, axes = style.new(0.6 + 0.95 * len(groups), 1, len(groups), style.TITLE, sharex=True, sharey=True)
    for axis, (name, rows) in zip(axes[:, 0], groups.items(), strict=True):
        sums = found.weight_sums(rows.nonzero().flatten())[order].numpy()
        axis.stairs(sums, np.arange(len(sums) + 1) - 0.5, fill=True, color=style.BLUE, linewidth=0)
        axis.set_title(f"{name} ({int(rows.sum()):,} sub-vectors)", loc="left")
    axes[-1, 0].set_xlabel("bank vector, the largest norm first")
    axes[-1, 0].set_xlim(-0.5, len(order) - 0.5)
    figure.supylabel("sum of weights", x=0.01, fontsize="medium")
    return figure


def _layer(name: str) -> int:
    """The number of a site's layer: the first number in its name; 0 where there is none."""
    match = re.search(r"\.(\d+)\.", f".{name}.")
    return int(match[1]) if match else 0
