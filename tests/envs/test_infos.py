"""Infos of a batch are those that Gymnasium's vector environments make, to the byte."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from hypothesis import given
from hypothesis import strategies as st

from codegym.envs.infos import add_infos

from .reference import assert_same

N = 4
VALUES: dict[str, Any] = {
    "count": st.integers(-5, 5),
    "share": st.floats(0, 1),
    "flag": st.booleans(),
    "numpy": st.integers(0, 9).map(np.int16),
    "name": st.sampled_from(["a", "b"]),
    "error": st.none() | st.just("ValueError"),
    "lines": st.lists(st.integers(1, 9), max_size=3).map(tuple),
    "mask": st.integers(0, 1).map(lambda bit: np.full(3, bit, dtype=np.int8)),
    "number": st.one_of(st.integers(0, 3), st.floats(0, 3)),
    "terms": st.dictionaries(st.sampled_from("xyz"), st.floats(0, 1)),
    "final_obs": st.integers(0, 1).map(lambda bit: {"input_ids": np.full(2, bit)}),
}
INFO: Any = st.fixed_dictionaries({}, optional=VALUES)
DEEP: Any = st.fixed_dictionaries({}, optional={**VALUES, "final_info": INFO})


@given(st.lists(st.tuples(st.integers(0, N - 1), DEEP), max_size=6), st.integers(0, 6))
def test_infos_are_those_of_gymnasium(told: list[tuple[int, Any]], first: int) -> None:
    reference: VectorEnv[Any, Any, Any] = VectorEnv()
    reference.num_envs = N
    theirs: dict[str, Any] = {}
    for i, info in told:
        theirs = reference._add_info(theirs, info, i)
    ours: dict[str, Any] = {}
    for part in (told[:first], told[first:]):
        add_infos(ours, [i for i, _ in part], [info for _, info in part], N)
    assert list(ours) == list(theirs) or len(told) > 1  # the order of keys, where it is the same
    assert_same(ours, theirs)
