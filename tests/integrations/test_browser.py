"""The page of `codegym view` in a real browser: what is seen, with a mouse, with keys, when narrow.

Clocks are read and printed, and no test depends on them.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codegym.commands import main
from tests.integrations.chromium import Browser, browser, find_chromium

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("CODEGYM_INTEGRATION") != "browser",
        reason="run by make test-integrations-browser, in a real browser",
    ),
    pytest.mark.skipif(
        find_chromium() is None,
        reason="there is no Chromium: apt-get install chromium, or name one with $CHROMIUM",
    ),
]
WIDE, NARROW = 1280, 360
ROLLOUTS, TOKENS = 5_000, 400
HOSTILE = "<img src=x onerror=document.title='hit'></script><script>document.title='hit'</script>"
SELECTED = "document.querySelector('#rows [aria-selected=true]')"
FOCUS = "document.activeElement"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


def row(number: int, tokens: int = 12, **changes: Any) -> dict[str, Any]:
    drawn = random.Random(number)
    verdict = ("accepted", "wrong_answer", "runtime_error")[number % 3]
    words = ["x", " =", " y", "(", ")", "\n", "    ", "return"]
    numbers = {
        name: [round(drawn.gauss(0, 1), 4) for _ in range(tokens)]
        for name in ("rewards", "advantages", "values")
    }
    odds = [round(-drawn.random(), 4) for _ in range(tokens)]
    return {
        "step": 20 * (number % 4),
        "row": number,
        "problem_id": f"mini/{number}",
        "verdict": verdict,
        "reward": drawn.random(),
        "stage": number % 3,
        "prompt_length": 2,
        "start_length": 3,
        "pieces": ["# Say.\n", "def f():\n", "    y = 1\n", *drawn.choices(words, k=tokens)],
        "executed": [drawn.randrange(2) for _ in range(tokens)],
        "loss_mask": [drawn.randrange(2) for _ in range(tokens)],
        "logprobs": odds,
        "checkpoint_logprobs": [min(0.0, value + drawn.gauss(0, 0.1)) for value in odds],
        **numbers,
        **changes,
    }


def write(folder: Path, *rows: dict[str, Any]) -> Path:
    """The page of some rollouts."""
    source, out = folder / "rollouts.jsonl", folder / "rollouts.view.html"
    with source.open("w") as file:
        file.writelines(json.dumps(one) + "\n" for one in rows)
    assert main(["view", str(source)]) == 0
    return out


def test_nothing_is_asked_for_and_nothing_goes_wrong(page: Browser, tmp_path: Path) -> None:
    page.open(write(tmp_path, *map(row, range(20))), width=WIDE)
    assert [url.partition(":")[0] for url in page.requests] == ["file"]
    assert page.messages == []


def test_markup_in_a_program_is_text(page: Browser, tmp_path: Path) -> None:
    pieces = [HOSTILE] * 15
    page.open(
        write(tmp_path, row(0, pieces=pieces, problem_id=HOSTILE, verdict=HOSTILE)), width=WIDE
    )
    assert page.run("document.querySelectorAll('img').length") == 0
    assert page.run("document.title") == "rollouts.jsonl"
    shown = page.run("document.querySelector('.code.program').textContent")
    assert shown == HOSTILE * 13
    assert page.messages == []


def test_a_table_of_many_rows_draws_few(page: Browser, tmp_path: Path) -> None:
    page.open(write(tmp_path, *map(row, range(400))), width=WIDE)
    assert page.run("document.querySelectorAll('#rows [role=row]').length") < 60
    assert page.run("document.getElementById('table').getAttribute('aria-rowcount')") == "401"
    page.run("document.getElementById('table').focus()")
    page.press("End")
    assert page.run(f"{SELECTED}.textContent").startswith("…399")
    assert page.run(f"{SELECTED}.getBoundingClientRect().bottom <= innerHeight")


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_all_is_reached_with_keys_alone(page: Browser, width: int, tmp_path: Path) -> None:
    page.open(write(tmp_path, *map(row, range(30))), width=width)
    seen = []
    for _ in range(20):
        page.press("Tab")
        seen.append(page.run(f"{FOCUS}.id || {FOCUS}.tagName"))
        if seen[-1] == "table":
            break
    assert {"tab-rollouts", "search", "verdict", "stage", "step", "table"} <= set(seen)
    assert page.run(f"getComputedStyle({FOCUS}).outlineStyle") == "solid"
    for key in ("ArrowDown", "j", "j", "k"):
        page.press(key)
    assert page.run(f"{SELECTED}.getAttribute('aria-rowindex')") == "4"
    assert page.run(f"{FOCUS}.getAttribute('aria-activedescendant')") == page.run(f"{SELECTED}.id")
    page.press("Enter")
    page.until(f"{FOCUS}.classList.contains('program')")
    assert page.run("document.getElementById('detail').dataset.row") == "2"
    page.press("ArrowRight")
    page.press("ArrowRight")
    said = page.run("document.querySelector('.value').textContent")
    assert said.startswith("Token 2 of 12, ")
    assert "advantage" in said
    for key, name in (("4", "advantage"), ("7", "change of probability")):
        page.press(key)
        chosen = "document.querySelector('fieldset input:checked').parentNode.textContent"
        assert page.run(chosen) == name
    page.press("Escape")
    assert page.run(f"{FOCUS}.id") == "table"
    page.press("/")
    assert page.run(f"{FOCUS}.id") == "search"


def test_tokens_are_coloured_by_what_is_chosen(page: Browser, tmp_path: Path) -> None:
    advantages = [-2.0, 0.0, 2.0, 1.0]
    page.open(write(tmp_path, row(0, 4, advantages=advantages, executed=[1, 0, 1, 0])), width=WIDE)
    spans = "[...document.querySelectorAll('.program .t')]"
    assert page.run(f"{spans}.map((node) => node.classList.contains('yes'))") == [True, False] * 2
    page.press("4")
    found = page.run(f"{spans}.map((node) => getComputedStyle(node).backgroundColor)")
    worst, none, best, good = found
    assert none == "rgba(0, 0, 0, 0)"
    assert worst.startswith("rgba(213, 94, 0")
    assert best.startswith("rgba(0, 114, 178")
    assert good.startswith("rgba(0, 114, 178")
    assert good != best
    scale = page.run("document.querySelector('.scale').textContent")
    assert scale.startswith("-22by its square root")  # from -2 to 2


def test_one_token_far_outside_leaves_the_others_their_colours_and_digits(
    page: Browser, tmp_path: Path
) -> None:
    advantages = [-0.5, 0.0, 1000.0, 1.0]
    page.open(write(tmp_path, row(0, 4, advantages=advantages)), width=WIDE)
    page.press("4")
    spans = "[...document.querySelectorAll('.program .t')]"
    worse, none, _, good = page.run(f"{spans}.map((n) => getComputedStyle(n).backgroundColor)")
    assert none == "rgba(0, 0, 0, 0)"
    assert worse.startswith("rgba(213, 94, 0")
    assert good.startswith("rgba(0, 114, 178")
    told = page.run(
        f"{spans}.map((n) => (n.click(), document.querySelector('.value').textContent))"
    )
    assert "advantage 1000" in told[2]
    assert "advantage 0.992" in told[3]  # 4 of 127 steps, squared


def test_what_a_source_lacks_is_greyed_out(page: Browser, tmp_path: Path) -> None:
    lacking = row(0)
    for name in ("values", "checkpoint_logprobs", "stage"):
        del lacking[name]
    page.open(write(tmp_path, lacking), width=WIDE)
    off = "[...document.querySelectorAll('fieldset input:disabled')]"
    assert page.run(f"{off}.map((one) => one.parentNode.textContent)") == [
        "value",
        "change of probability",
    ]
    assert page.run("document.getElementById('stage').disabled")
    assert page.run(f"{SELECTED}.children[3].textContent") == "\N{EN DASH}"
    page.press("5")  # the value
    chosen = "document.querySelector('fieldset input:checked').parentNode.textContent"
    assert page.run(chosen) == "executed"


def test_rollouts_are_filtered_sorted_and_searched(page: Browser, tmp_path: Path) -> None:
    rows = [row(k) for k in range(30)]
    rows[17]["pieces"][5] = "needle_in_it"
    page.open(write(tmp_path, *rows), width=WIDE)
    count = "document.getElementById('count').textContent"

    def choose(name: str, value: str) -> None:
        page.run(
            f"(() => {{ const field = document.getElementById({name!r}); field.value = {value!r};"
            "field.dispatchEvent(new Event(field.type === 'search' ? 'input' : 'change')); })()"
        )

    choose("verdict", "accepted")
    assert page.run(count) == "10 rollouts of 30, 100 % accepted"
    choose("verdict", "")
    choose("search", "NEEDLE_in")
    page.until(f"{count}.startsWith('1 rollout ')")
    assert page.run(f"{SELECTED}.textContent").startswith("…17")
    choose("search", "")
    page.until(f"{count}.startsWith('30 ')")
    reward = "document.querySelectorAll('#head [role=columnheader]')[2]"
    page.run(f"{reward}.firstChild.click()")
    page.run(f"{reward}.firstChild.click()")
    page.until(f"{reward}.getAttribute('aria-sort') === 'descending'")
    shown = "[...document.querySelectorAll('#rows [role=row]')].map((one) => +one.children[2].textContent)"  # noqa: E501
    values = page.run(shown)
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_curves_have_names_units_and_a_sentence(page: Browser, width: int, tmp_path: Path) -> None:
    verdicts = ("verdict/accepted", "verdict/wrong_answer")
    scalars = [
        {"step": k, "greedy/mean": k / 40, **dict.fromkeys(verdicts, 0.5)} for k in range(40)
    ]
    with (tmp_path / "scalars.jsonl").open("w") as file:
        file.writelines(json.dumps(one) + "\n" for one in scalars)
    with (tmp_path / "rollouts.jsonl").open("w") as file:
        file.write(json.dumps(row(1)) + "\n")
    assert main(["view", str(tmp_path)]) == 0
    page.open(tmp_path / "view.html", width=width)
    assert page.run("!document.getElementById('curves').hidden")
    axes = "[...document.querySelectorAll('figure')].map((one) => [...one.querySelectorAll('.axis')].map((axis) => axis.textContent))"  # noqa: E501
    assert page.run(axes) == [
        ["↑ solved problems, %", "iteration →"],
        ["↑ rollouts, %, mean of the last 5 iterations", "iteration →"],
    ]
    assert page.run("document.querySelectorAll('figure .expected').length") == 2
    assert page.run("document.querySelectorAll('polygon').length") == 2
    page.run("document.querySelector('figure [role=img]').focus()")
    page.press("End")
    said = page.run("document.querySelector('.readout').textContent")
    assert said == "iteration 39: mean 97.5"


@pytest.mark.parametrize("fragment", ["#show-rollouts", "#r3", "#show-curves"])
def test_a_narrow_screen_needs_no_sideways_scrolling(
    page: Browser, fragment: str, tmp_path: Path
) -> None:
    long = row(3, pieces=["x" * 60] * 15, problem_id="a/very/long/name/of/a/problem/" * 3)
    rows = [*map(row, range(3)), long, *map(row, range(4, 9))]
    page.open(write(tmp_path, *rows), width=NARROW, height=700, fragment=fragment)
    assert page.run("document.documentElement.scrollWidth") <= NARROW


def test_a_link_to_a_rollout_opens_it_and_leads_back(page: Browser, tmp_path: Path) -> None:
    page.open(write(tmp_path, *map(row, range(9))), width=NARROW, fragment="#r4")
    assert page.run("document.querySelector('#detail h2').textContent") == "mini/4"
    assert page.run("document.getElementById('list').offsetParent === null")
    page.run("document.querySelector('.back').click()")
    assert page.run("document.getElementById('list').offsetParent !== null")


def test_a_run_that_has_nothing_yet_is_a_page_that_says_so(page: Browser, tmp_path: Path) -> None:
    (tmp_path / "rollouts.jsonl").touch()
    assert main(["view", str(tmp_path)]) == 1
    page.open(tmp_path / "view.html", width=WIDE)
    assert "holds no rollout yet" in page.run("document.getElementById('notes').textContent")
    assert page.messages == []


def test_characters_that_cannot_be_seen_are_told(page: Browser, tmp_path: Path) -> None:
    one = row(0)
    one["pieces"][3] = "x\u202e\u200b"
    page.open(write(tmp_path, one), width=WIDE)
    page.run("document.querySelector('.program').focus()")
    page.press("ArrowRight")
    said = page.run("document.querySelector('.value').textContent")
    assert said.startswith('Token 1 of 12, "x\\u{202e}\\u{200b}": ')
    isolated = "getComputedStyle(document.querySelector('.program .t')).unicodeBidi"
    assert page.run(isolated) == "isolate"


def test_a_curve_of_one_huge_number_is_drawn(page: Browser, tmp_path: Path) -> None:
    page.open(write(tmp_path, *(row(k, reward=1e20) for k in range(8))), width=WIDE)
    page.run("document.getElementById('tab-curves').click()")
    assert page.run("document.querySelectorAll('figure polyline').length") == 1
    assert "NaN" not in page.run("document.querySelector('figure svg').outerHTML")


def test_the_table_of_a_narrow_screen_cuts_no_verdict_and_no_head(
    page: Browser, tmp_path: Path
) -> None:
    page.open(write(tmp_path, *map(row, range(9))), width=NARROW)
    cut = "[...document.querySelectorAll('#rows [role=gridcell], #head button')].filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent)"  # noqa: E501
    assert page.run(cut) == []


def test_a_page_that_was_damaged_says_so(page: Browser, tmp_path: Path) -> None:
    out = write(tmp_path, *map(row, range(3)))
    text = out.read_text()
    begin = text.index('id="chunk0">') + len('id="chunk0">')
    out.write_text(text[:begin] + "AAAA" + text[begin + 40 :])
    page.open(out, width=WIDE)
    said = page.run("document.getElementById('detail').textContent")
    assert said.startswith("The tokens of this rollout cannot be read")
    assert page.run("document.querySelectorAll('#rows [role=row]').length") == 3


def test_five_thousand_rollouts_of_four_hundred_tokens(
    page: Browser, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    words = [" word", "\n", "    ", "return", *(f"x{k}" for k in range(500))]
    drawn = np.random.default_rng(0)

    def rows() -> Iterator[dict[str, Any]]:
        for k in range(ROLLOUTS):
            numbers = {
                name: drawn.normal(size=TOKENS).round(4).tolist()
                for name in ("rewards", "advantages", "values")
            }
            for name in ("logprobs", "checkpoint_logprobs"):
                numbers[name] = (-drawn.random(TOKENS)).round(4).tolist()
            for name in ("executed", "loss_mask"):
                numbers[name] = drawn.integers(0, 2, TOKENS).tolist()
            written = [words[i] for i in drawn.integers(0, len(words), TOKENS)]
            given = ["# Say.\n", "def f():\n", "    y = 1\n"]
            yield row(k, 1, pieces=[*given, *written], **numbers)

    out = write(tmp_path, *rows())
    page.open(out, width=WIDE)
    painted = page.run("document.documentElement.dataset.painted")
    assert page.run("document.querySelectorAll('#rows [role=row]').length") > 10
    assert page.run("document.querySelectorAll('.program .t').length") == TOKENS
    assert out.stat().st_size <= 40_000_000
    record_property("rollouts", ROLLOUTS)
    record_property("tokens_of_each", TOKENS)
    record_property("bytes_of_the_page", out.stat().st_size)
    record_property("milliseconds_until_painted", int(painted))
    record_property("browser", page.ask("Browser.getVersion")["product"])
