"""The benchmark of stepping times what it says: steps that end nothing, and the right ratios."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("tyro")


from benchmarks import page, stepping
from benchmarks import stepping_report as report
from benchmarks.stepping_peers import ours
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
            result: Any = contender.step()
            assert not (result[2] or result[3]) if contender.width == 1 else not result[2].any()
        if isinstance(begun, tuple):
            prompt = begun[1]["start_length"]
            assert (prompt if contender.width == 1 else prompt[0]) == SHORT.prompt
            last: Any = contender.step()
            assert last[3] if contender.width == 1 else last[3].all()
        contender.close()


def test_bars_and_page() -> None:
    def timed(lengths: Lengths, num_envs: int, name: str, width: int, each: float) -> Any:
        return {
            "lengths": str(lengths),
            "num_envs": num_envs,
            "name": name,
            "seconds": each,
            "token_steps_per_second": width / each,
            "blocks": [each] * 3,
        }

    rows = []
    short, long = Lengths(64, 48), Lengths(1024, 512)
    for k, one in enumerate((short, long)):
        rows.append(timed(one, 0, "codegym single, copy=False", 1, 2e-6 * (1 + k)))
        for n in (1024, 4096, 8192):
            name = "codegym vector, sync, copy=False"
            rows.append(timed(one, n, name, n, 1e-5 + n * 1e-8))
        peer = "Gymnasium SyncVectorEnv, copy=False"
        rows.append(timed(one, 1024, peer, 1024, 40 * (1e-5 + 1024e-8)))
    bars = {bar.what: bar for bar in report.bars(rows, 9.5)}
    slow = "single env, copy=False: 1024+512 at most 10 % slower than 64+48"
    assert [what for what, bar in bars.items() if not bar.met] == [slow]
    assert bars[slow].reached == "+100 %"
    assert any(bar.reached == "40x, 40x" for bar in bars.values())
    assert any("10 us + 10.0 ns each; exponent 0." in bar.reached for bar in bars.values())
    steps = 48 * (1e-5 + 1024e-8)
    name = "codegym vector, sync, copy=False, with ends and resets"
    rows.append(timed(short, 1024, name, 1024 * 48, steps + 1024 * 1e-4))
    (line,) = report.ends(rows)
    assert line[:4] == ["sync", "1,024", "64+48", "100"]
    results = {"rounds": 3, "rows": rows, "memory": {}, "bytes_per_token": 9.5}
    text = "\n".join(report.lines(results | page.environment("stepping")))
    assert "was not run here" in text
    assert f"| {slow} | +100 % | **no** |" in text


def test_arguments_have_defaults() -> None:
    assert stepping.Args().num_envs == (64, 1024, 4096, 8192)
