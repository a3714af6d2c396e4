"""Infos of many sub-environments as arrays, in Gymnasium's layout.

The result is that of ``VectorEnv._add_info``, called for one sub-environment after the other. Each
array is filled at once, which takes a tenth of the time where hundreds of episodes end in a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["add_infos"]


def add_infos(
    infos: dict[str, Any], rows: Sequence[int], told: Sequence[Mapping[str, Any]], num_envs: int
) -> None:
    """Adds what some sub-environments tell.

    Args:
        infos: The batch: for each key an array of `num_envs` entries, or a dict of such, and under
            ``_key`` a bool array of those that told it.
        rows: Indices of sub-environments.
        told: An info for each of them.
        num_envs: Number of sub-environments.
    """
    columns: dict[str, tuple[list[int], list[Any]]] = {}
    for i, info in zip(rows, told, strict=True):
        for key, value in info.items():
            if key not in columns:
                columns[key] = [], []
            column = columns[key]
            column[0].append(i)
            column[1].append(value)
    for key, (some, values) in columns.items():
        if key != "final_obs" and isinstance(values[0], dict):
            add_infos(infos.setdefault(key, {}), some, values, num_envs)
        else:
            if key not in infos:
                infos[key] = _empty(values[0], num_envs)
            _fill(infos[key], some, values)
        if f"_{key}" not in infos:
            infos[f"_{key}"] = np.zeros(num_envs, dtype=bool)
        infos[f"_{key}"][some] = True


def _empty(value: object, num_envs: int) -> npt.NDArray[Any]:
    """An array for values of a kind."""
    if type(value) in (int, float, bool) or isinstance(value, np.number):
        return np.zeros(num_envs, dtype=type(value))
    if isinstance(value, np.ndarray):
        return np.zeros((num_envs, *value.shape), dtype=value.dtype)
    return np.full(num_envs, None, dtype=object)


def _fill(array: npt.NDArray[Any], rows: list[int], values: list[Any]) -> None:
    if array.dtype == object or array.ndim > 1:  # numpy would look into tuples and dicts
        for i, value in zip(rows, values, strict=True):
            array[i] = value
    else:
        array[rows] = values
