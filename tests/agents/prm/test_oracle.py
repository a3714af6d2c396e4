from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from agents import completions as completions_module
from agents.completions import Completions, Prefix
from agents.prm.labels import search_all
from agents.prm.oracle import Oracle
from agents.rollout import Sampling

ENVS = 8


class Players:
    """In place of rollouts: the n-th completion of a prefix passes where it is told so."""

    def __init__(self, passes: dict[tuple[int, ...], int | None]) -> None:
        self.passes = passes
        self.tried: dict[tuple[int, ...], int] = {}
        self.waves: list[int] = []

    def play(self, policy: Any, envs: Any, *, episodes: int, seed: int, **rest: Any) -> Any:
        (options,) = rest["options"]
        assert options["check_prefix"] is False
        assert len(options["prefix"]) == len(options["problem_id"]) == episodes == ENVS
        solved = []
        for tokens in options["prefix"]:
            self.tried[tokens] = self.tried.get(tokens, 0) + 1
            solved.append(self.passes.get(tokens) == self.tried[tokens])
        self.waves.append(seed)
        return SimpleNamespace(
            sequences=SimpleNamespace(solved=torch.tensor(solved), reward=torch.zeros(len(solved)))
        )


def make(monkeypatch: pytest.MonkeyPatch, players: Players, completions: int) -> Oracle:
    monkeypatch.setattr(completions_module, "play", players.play)
    envs: Any = SimpleNamespace(num_envs=ENVS)
    policy: Any = None
    source = Completions(policy, envs, sampling=Sampling(), seed=3)
    return Oracle(source, completions=completions)


def prefix(*tokens: int) -> Prefix:
    return Prefix("p", tokens)


def test_any_of_k_is_enough_and_no_more_than_k_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    players = Players({(1,): 5, (2,): 6, (3,): 1, (4,): None})
    oracle = make(monkeypatch, players, completions=5)
    prefixes = [prefix(k) for k in (1, 2, 3, 4)]
    assert oracle.recoverable(prefixes) == [True, False, True, False]
    # Two each in the first wave; then three of them go on, and one need not.
    assert oracle.source.completed <= 4 * 5
    assert players.tried[(3,)] == 2


def test_waves_have_seeds_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    players = Players({})
    make(monkeypatch, players, completions=3).recoverable([prefix(k) for k in range(20)])
    assert len(set(players.waves)) == len(players.waves) == 8  # 60 completions, 8 at a time
    again = Players({})
    make(monkeypatch, again, completions=3).recoverable([prefix(k) for k in range(20)])
    assert again.waves == players.waves


def test_searches_advance_together_and_find_what_the_exhaustive_labeller_finds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    programs, expected = [], []
    passes: dict[tuple[int, ...], int | None] = {}
    for number in range(30):
        lines = int(rng.integers(1, 20))
        last = int(rng.integers(0, lines))
        prefixes = [prefix(number, *range(m)) for m in range(1, lines + 1)]
        for m, one in enumerate(prefixes, start=1):
            passes[one.tokens] = 1 if m <= last else None
        programs.append(prefixes)
        expected.append(search_all(lines, lambda m, last=last: m <= last))  # type: ignore[misc]
    players = Players(passes)
    found = make(monkeypatch, players, completions=1).search(programs)
    assert [searched.lines for searched in found] == expected
    for searched, prefixes in zip(found, programs, strict=True):
        assert searched.questions <= np.ceil(np.log2(len(prefixes)))
        assert searched.completions == searched.questions  # K = 1
    # The whole program is known to fail, so it is never asked about.
    assert not {prefixes[-1].tokens for prefixes in programs} & set(players.tried)
    one_by_one = sum(max(0, int(np.ceil(np.log2(len(prefixes))))) for prefixes in programs)
    assert len(players.waves) < one_by_one / 3


def test_nothing_to_search(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = make(monkeypatch, Players({}), completions=4)
    assert oracle.search([]) == []
    assert oracle.search([[prefix(1)]]) == [(0, 0, 0)]
    assert oracle.recoverable([]) == []
    assert oracle.source.completed == 0


def test_a_rate_is_of_all_k_completions(monkeypatch: pytest.MonkeyPatch) -> None:
    players = Players({(1,): 2, (2,): 9, (3,): 1})
    oracle = make(monkeypatch, players, completions=4)
    # The n-th completion alone passes, so at most one of four does.
    assert oracle.rates([prefix(k) for k in (1, 2, 3)]) == [0.25, 0.0, 0.25]
    assert players.tried[(3,)] >= 4
