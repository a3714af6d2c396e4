"""Keeps a share of some points: clusters them, and chooses from each cluster.

The equations are in :mod:`agents.methods.code_less`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from agents.command import refuse_outside, refuse_unused
from codegym.errors import ConfigurationError

__all__ = ["FloatArray", "Pruned", "PruningSettings", "prune"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PruningSettings:
    """Which share of the problems is kept."""

    share: float = 0.5
    """of the problems that are kept"""
    metric: Literal["density", "diversity", "random"] = "density"
    """what decides within a cluster: rare problems are likelier to be kept ("density"), or each
    next one is the farthest from those kept ("diversity"); "random" is the control, which looks at
    no problem"""
    clustering: Literal["kmeans", "agglomerative", "hdbscan"] = "kmeans"
    """scikit-learn's algorithm; of "hdbscan", what belongs to no cluster is a cluster of its own"""
    clusters: int = 16
    """of "kmeans" and "agglomerative" """
    least_members: int = 5
    """of a cluster of "hdbscan" """
    dimensions: int = 10
    """principal components of the embeddings that are clustered"""
    text: Literal["pair", "problem", "solution"] = "pair"
    """what is embedded: the prompt and the canonical solution behind it, or one of the two"""

    def refuse_meaningless_pruning(self) -> None:
        """Refuses what would have no meaning or no effect.

        Raises:
            ConfigurationError: If there is such a setting.
        """
        refuse_outside(self, ("share",), above=0.0, high=1.0)
        refuse_outside(self, ("clusters", "dimensions"), low=1)
        refuse_outside(self, ("least_members",), low=2)
        looks = ("clustering", "clusters", "least_members", "dimensions", "text")
        refuse_unused(self, looks, self.metric != "random", "a metric that looks at problems")
        density = self.clustering == "hdbscan"
        refuse_unused(self, ("clusters",), not density, "a clustering that is told their number")
        refuse_unused(self, ("least_members",), density, 'clustering="hdbscan"')


class Pruned(NamedTuple):
    """What is kept of N problems.

    Attributes:
        kept: Their positions, sorted.
        labels: (N,) the cluster of each problem, from 0; all 0 of the random control.
    """

    kept: IntArray
    labels: IntArray


def prune(points: FloatArray | None, size: int, settings: PruningSettings, seed: int) -> Pruned:
    """Equations 2 to 5.

    Args:
        points: (N, width) embeddings; None: the control, which looks at no problem.
        size: N.
        settings: Share, metric and clustering.
        seed: Of clusterings and draws.

    Returns:
        What is kept: ``share`` of N, rounded, and at least one.

    Raises:
        ConfigurationError: If there are fewer problems than clusters, components or members of a
            cluster, or scikit-learn is not installed.
    """
    rng = np.random.default_rng(seed)
    total = max(1, int(settings.share * size + 0.5))
    if points is None:
        kept = np.sort(rng.choice(size, size=total, replace=False))
        return Pruned(kept, np.zeros(size, dtype=np.int64))
    components, labels = _clustered(points, settings, seed)
    counts = np.bincount(labels)
    chosen = []
    for cluster, quota in enumerate(_quotas(counts, total)):
        members = np.flatnonzero(labels == cluster)
        here = components[members]
        kept = _diverse(here, quota) if settings.metric == "diversity" else _rare(here, quota, rng)
        chosen.append(members[kept])
    return Pruned(np.sort(np.concatenate(chosen)), labels)


def _clustered(
    points: FloatArray, settings: PruningSettings, seed: int
) -> tuple[FloatArray, IntArray]:
    """Equation 2: (N, dimensions) components and (N,) labels from 0."""
    cluster, decomposition = _import_sklearn()
    size, width = points.shape
    if settings.dimensions > min(size, width):
        raise ConfigurationError(
            f"dimensions must be at most the number of problems ({size}) and the width of the "
            f"model ({width}), got {settings.dimensions}."
        )
    hdbscan = settings.clustering == "hdbscan"
    least = settings.least_members if hdbscan else settings.clusters
    different = len(np.unique(points, axis=0))
    if different < least:
        raise ConfigurationError(
            f"Expected at least {'least_members' if hdbscan else 'clusters'}={least} problems that "
            f"differ, got {different}. Name fewer, or load more problems."
        )
    pca = decomposition.PCA(settings.dimensions, svd_solver="full")
    components = pca.fit_transform(points)
    if hdbscan:
        model = cluster.HDBSCAN(min_cluster_size=least, copy=True)
    elif settings.clustering == "agglomerative":
        model = cluster.AgglomerativeClustering(settings.clusters)
    else:
        model = cluster.KMeans(settings.clusters, n_init=10, random_state=seed)
    # What belongs to no cluster has the label -1; labels are made to begin with 0.
    _, labels = np.unique(model.fit_predict(components), return_inverse=True)
    return components, labels


def _quotas(counts: IntArray, total: int) -> IntArray:
    """Equation 3: the largest remainders are rounded up.

    >>> _quotas(np.array([5, 3, 2]), 5).tolist()
    [3, 1, 1]
    """
    exact = counts * total / counts.sum()
    quotas: IntArray = np.floor(exact).astype(np.int64)
    most = np.argsort(quotas - exact, kind="stable")
    quotas[most[: total - quotas.sum()]] += 1
    return quotas


def _diverse(points: FloatArray, count: int) -> IntArray:
    """Equation 4."""
    distance = np.linalg.norm(points - points.mean(0), axis=1)
    kept = [int(distance.argmin())][:count]
    nearest = np.linalg.norm(points - points[kept[:1]], axis=1) if kept else distance
    while len(kept) < count:
        nearest[kept] = -1.0  # of points that are the same, each is kept once
        kept.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(points - points[kept[-1]], axis=1))
    return np.array(kept, dtype=np.int64)


def _rare(points: FloatArray, count: int, rng: np.random.Generator) -> IntArray:
    """Equation 5. The largest of log weights with Gumbel noise are a draw without replacement."""
    keys = rng.gumbel(size=len(points)) - _log_density(points)
    return np.asarray(np.argsort(-keys, kind="stable")[:count])


def _log_density(points: FloatArray) -> FloatArray:
    """(n,) log p of equation 5."""
    size, dimensions = points.shape
    width = size ** (-1.0 / (dimensions + 4)) * np.sqrt(points.var(axis=0).mean())
    if not width:  # all are the same
        return np.zeros(size)
    squares = [((points - point) ** 2).sum(1) for point in points]
    return np.array([np.log(np.exp(-each / (2.0 * width**2)).mean()) for each in squares])


def _import_sklearn() -> tuple[Any, Any]:
    try:
        from sklearn import cluster, decomposition
    except ImportError as error:
        raise ConfigurationError(
            "Clusters of problems need the package scikit-learn: pip install -e '.[methods]' (in "
            'codegym\'s checkout). metric="random" does without.'
        ) from error
    return cluster, decomposition
