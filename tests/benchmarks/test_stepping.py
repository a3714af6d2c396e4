"""The benchmark of stepping times what it says: steps that end nothing, and the right ratios."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("tyro")

from benchmarks import stepping
from benchmarks.stepping_peers import ours, report
from benchmarks.stepping_peers.contender import Contender, Lengths, take_turns
from benchmarks.stepping_peers.floor import function

SHORT = Lengths(8, 5)


def test_no_block_steps_past_the_end_of_an_episode() -> None:
    left = 0

    def begin() -> None:
        nonlocal left
        left = 4

    def step() -> None:
        nonlocal left
        left -= 1
        assert left >= 0

    one = Contender("one", 1, begin, step, 4)
    take_turns([one], rounds=3, block_seconds=0.0005)
    assert len(one.seconds) == 3


def test_what_is_timed_ends_no_episode_and_has_the_lengths_it_says() -> None:
    for contender in (
        ours.single(SHORT, copy=True),
        ours.single(SHORT, copy=True, wrapped=True),
        ours.vector(SHORT, 3, judging="sync", copy=False),
        ours.synchronous(SHORT, 2, copy=True),
        function(SHORT),
    ):
        begun = contender.begin()
        for _ in range(contender.steps):
            result = contender.step()
            assert isinstance(result, tuple)
            assert not (result[2] or result[3]) if contender.width == 1 else not result[2].any()
        if isinstance(begun, tuple):
            prompt = begun[1]["start_length"]
            assert (prompt if contender.width == 1 else prompt[0]) == SHORT.prompt
            last: Any = contender.step()
            assert last[3] if contender.width == 1 else last[3].all()
        contender.close()


def test_bars_and_page() -> None:
    def timed(name: str, width: int, seconds: float) -> Contender:
        return Contender(name, width, lambda: None, lambda: None, 1, seconds=[seconds] * 3)

    lengths = [Lengths(64, 48), Lengths(1024, 512)]
    measured: dict[report.Key, list[Contender]] = {}
    for k, one in enumerate(lengths):
        measured[str(one), 0] = [timed("codegym single, copy=False", 1, 2e-6 * (1 + k))]
        for n in (1024, 4096, 8192):
            name = "codegym vector, sync, copy=False"
            measured[str(one), n] = [timed(name, n, 1e-5 + n * 1e-8)]
        peer = timed("Gymnasium SyncVectorEnv, copy=False", 1024, 40 * (1e-5 + 1024e-8))
        measured[str(one), 1024].append(peer)
    bars = {bar.what: bar for bar in report.bars(measured, lengths, 9.5)}
    met = {what: bar.met for what, bar in bars.items()}
    slow = "single env, copy=False: 1024+512 at most 10 % slower than 64+48"
    assert [what for what, reached in met.items() if not reached] == [slow]
    assert bars[slow].reached == "+100 %"
    assert any(bar.reached == "40x, 40x" for bar in bars.values())
    assert any("10 us + 10.0 ns each; exponent 0." in bar.reached for bar in bars.values())
    about = report.machine()
    results = {"command": "c", "machine": about, "rounds": 3, "bars": [], "memory": {}}
    steps = 48 * (1e-5 + 1024e-8)
    name = "codegym vector, sync, copy=False, with ends and resets"
    measured[str(lengths[0]), 1024].append(timed(name, 1024 * 48, steps + 1024 * 1e-4))
    (line,) = report.ends(measured, lengths)
    assert line.startswith("- 1,024 sub-envs, 64+48, sync: 100 us for each end and reset;")
    assert "was not run here" in report.page(results, measured, lengths)


def test_arguments_have_defaults() -> None:
    assert stepping.Args().num_envs == (64, 1024, 4096, 8192)
