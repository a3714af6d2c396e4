"""A second program for each problem of the sample, written in another way than its solution.

What the tests of the sample expect was computed by the canonical solutions. These programs say it
again by other means: closed forms, regular expressions, brute force, recursion, sets. A function
takes the arguments of a call, or the text of standard input and returns what is to be printed.
"""

from __future__ import annotations

import ast
import bisect
import collections
import heapq
import itertools
import operator
import os.path
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
SECOND_OPINIONS: dict[str, Callable[..., Any]] = {}


def second_opinion(function: F) -> F:
    SECOND_OPINIONS[function.__name__] = function
    return function


def longest(values: Sequence[str]) -> int:
    return max(map(len, values), default=0)


# ---- introductory, call style


@second_opinion
def parking_fee(hours: int) -> int:
    return sum([3] * hours) + 10 * (hours >= 6)


@second_opinion
def grade(score: int) -> str:
    return "DCBA"[bisect.bisect_right([50, 75, 90], score)]


@second_opinion
def count_longer(words: list[str], size: int) -> int:
    return sum(bool(word[size:]) for word in words)


@second_opinion
def last_even(numbers: list[int]) -> int:
    return next((n for n in reversed(numbers) if not n & 1), -1)


@second_opinion
def ticket_price(age: int, member: bool) -> int:
    full = [0] * 6 + [4] * 12 + [8] * 47
    price = full[age] if age < len(full) else 4
    return price // (1 + member)


@second_opinion
def sum_of_multiples(numbers: list[int], step: int) -> int:
    return sum(n for n in numbers if n == step * round(n / step))


@second_opinion
def first_repeat(text: str) -> str:
    return next((text[i] for i in range(len(text)) if text.index(text[i]) < i), "")


@second_opinion
def count_matches(left: str, right: str) -> int:
    return sum(left[i : i + 1] == right[i : i + 1] != "" for i in range(len(left)))


@second_opinion
def keep_between(numbers: list[int], low: int, high: int) -> list[int]:
    return [n for n in numbers if n in range(low, high + 1)]


@second_opinion
def low_stock(stock: dict[str, int], limit: int) -> list[str]:
    return sorted(set(stock) - {name for name, left in stock.items() if left >= limit})


@second_opinion
def longest_word(words: list[str]) -> str:
    return next((word for word in words if len(word) == longest(words)), "")


@second_opinion
def odd_digit_sum(number: int) -> int:
    return sum(int(digit) for digit in str(number) if digit in "13579")


@second_opinion
def halving_steps(number: int) -> int:
    if number == 1:
        return 0
    rest: int = halving_steps(number // 2 if number % 2 == 0 else number + 1)
    return 1 + rest


@second_opinion
def triangle_kind(a: int, b: int, c: int) -> str:
    if not a + b > c:
        return "none"
    return {1: "regular", 2: "pointed", 3: "skew"}[len({a, b, c})]


# ---- introductory, standard input


@second_opinion
def count_positive(text: str) -> str:
    return str(len([word for word in text.split() if word[0] != "-" and word != "0"]))


@second_opinion
def count_vowels(text: str) -> str:
    return str(len(re.findall("[aeiou]", text)))


@second_opinion
def greater_one(text: str) -> str:
    a, b = map(int, text.split())
    return ["equal", "first", "second"][(a > b) - (a < b)]


@second_opinion
def tick_tock(text: str) -> str:
    said = {n: "tick" if n in range(0, 1000, 3) else "tock" for n in range(1000) if n**4 % 15 != 1}
    return "\n".join(said.get(n, str(n)) for n in range(1, int(text) + 1))


@second_opinion
def warmer_days(text: str) -> str:
    days = [int(word) for word in text.split()]
    return str(sum(b - a > 0 for a, b in itertools.pairwise(days)))


@second_opinion
def lines_until_end(text: str) -> str:
    before = re.split(r"^end$", text, maxsplit=1, flags=re.MULTILINE)[0]
    return str(len(re.findall(r"^.+$", before, re.MULTILINE)))


@second_opinion
def check_password(text: str) -> str:
    word = text.strip("\n")
    long = re.fullmatch(".{8,}", word)
    return "short" if long is None else "weak" if re.fullmatch("[a-zA-Z]*", word) else "good"


@second_opinion
def account(text: str) -> str:
    balance, _, *commands = text.split()
    left = int(balance)
    for sign, amount in zip(commands[::2], map(int, commands[1::2]), strict=True):
        after = left + (amount if sign == "in" else -amount)
        left = left if after < 0 else after
    return str(left)


@second_opinion
def order_total(text: str) -> str:
    pieces, price = map(int, text.split())
    total = pieces * price - 20 * (pieces > 9)
    return str(total if total >= 50 else total + 6)


@second_opinion
def wave_text(text: str) -> str:
    letters = list(text.strip("\n"))
    letters[::2] = map(str.upper, letters[::2])
    return "".join(letters)


# ---- interview, call style


@second_opinion
def balanced(text: str) -> bool:
    text = re.sub(r"[^()\[\]]", "", text)
    while (shorter := text.replace("()", "").replace("[]", "")) != text:
        text = shorter
    return text == ""


@second_opinion
def merge_intervals(intervals: list[list[int]]) -> list[list[int]]:
    # In halves, so that intervals that touch share a point and others have a gap between them.
    covered = {p for a, b in intervals if a < b for p in range(2 * a, 2 * b + 1)}
    starts = sorted(p for p in covered if p - 1 not in covered)
    ends = sorted(p for p in covered if p + 1 not in covered)
    return [[a // 2, b // 2] for a, b in zip(starts, ends, strict=True)]


@second_opinion
def compress(text: str) -> str:
    runs = [(letter, len(list(run))) for letter, run in itertools.groupby(text)]
    return "".join(letter + (str(n) if n != 1 else "") for letter, n in runs)


@second_opinion
def robot_position(commands: str) -> list[int]:
    place, heading = 0j, 1j
    for command in commands:
        place += heading * (command == "F")
        heading *= {"L": 1j, "R": -1j}.get(command, 1)
    return [int(place.real), int(place.imag)]


@second_opinion
def best_streak(results: str) -> int:
    return longest(results.replace("D", "").split("L"))


@second_opinion
def coins_needed(amount: int, coins: list[int]) -> int:
    taken = []
    for coin in sorted(coins)[::-1]:
        taken.append(amount // coin)
        amount %= coin
    return -1 if amount else sum(taken)


@second_opinion
def compare_versions(left: str, right: str) -> int:
    a, b = (re.sub(r"(\.0+)*$", "", version) for version in (left, right))
    x, y = ([int(part) for part in version.split(".")] for version in (a, b))
    return (x > y) - (x < y)


@second_opinion
def vend(price: int, events: list[str]) -> list[int]:
    sold, money = 0, 0
    for stretch in " ".join(events).split("back"):
        money = 0
        for event in stretch.split():
            bought = event == "buy" and money - price >= 0
            money += 10 * (event == "coin") - price * bought
            sold += bought
    return [sold, money]


@second_opinion
def frequent_words(text: str, least: int) -> list[str]:
    counts = collections.Counter(re.findall(r"\S{3,}", text))
    return sorted(word for word, count in counts.items() if not count < least)


@second_opinion
def climb_ways(stairs: int, broken: list[int]) -> int:
    def ways(stair: int) -> int:
        if stair == stairs:
            return 1
        ahead = [s for s in (stair + 1, stair + 2) if s <= stairs and s not in broken]
        return sum(map(ways, ahead))

    return ways(0)


@second_opinion
def second_largest(numbers: list[int]) -> int:
    return ([-1, -1, *sorted(set(numbers))] if len(set(numbers)) > 1 else [-1, -1])[-2]


@second_opinion
def simplify_path(path: str) -> str:
    return "/" + os.path.normpath(path).strip("/")


@second_opinion
def lift_stops(top: int, moves: list[int]) -> list[int]:
    floor, cuts = 0, 0
    for move in moves:
        step = 1 if move > 0 else -1
        for _ in range(abs(move)):
            if not 0 <= floor + step <= top:
                cuts += 1
                break
            floor += step
    return [floor, cuts]


@second_opinion
def meeting_state(meetings: list[list[int]], start: int, end: int) -> str:
    hours = set(range(start, end))
    if any(hours & set(range(*meeting)) for meeting in meetings):
        return "clash"
    return "touch" if any({start, end} & set(meeting) for meeting in meetings) else "free"


# ---- interview, standard input


@second_opinion
def waiting_line(text: str) -> str:
    commands = text.splitlines()[1:]
    joined: collections.deque[str] = collections.deque()
    printed = []
    for command in commands:
        if command.startswith("join "):
            joined.append(command.removeprefix("join "))
        else:
            printed.append(joined.popleft() if len(joined) else "nobody")
    return "\n".join([*printed, str(len(joined))])


@second_opinion
def lonely_trees(text: str) -> str:
    rows = text.split("\n")[1:]
    trees = {(y, x) for y, row in enumerate(rows) for x, cell in enumerate(row) if cell == "#"}
    alone = [t for t in trees if all(abs(t[0] - y) + abs(t[1] - x) != 1 for y, x in trees)]
    return str(len(alone))


@second_opinion
def best_result(text: str) -> str:
    mark, _, *words = text.split()
    people = list(zip(words[::2], map(int, words[1::2]), strict=True))
    passed = [person for person in people if not person[1] < int(mark)]
    best = max(passed, key=operator.itemgetter(1), default=("nobody", 0))
    return f"{best[0]} {len(passed)}"


@second_opinion
def league_points(text: str) -> str:
    games = [(int(a), int(b)) for a, b in re.findall(r"(\d+):(\d+)", text)]
    points = sum([0, 1, 3][1 + (a > b) - (a < b)] for a, b in games)
    return f"{points} {sum(a for a, _ in games) - sum(b for _, b in games)}"


@second_opinion
def secret_text(text: str) -> str:
    shift, line = text.split("\n")[:2]
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    turn = int(shift) % 26
    return re.sub("[0-9]", "#", line).translate(
        str.maketrans(alphabet, alphabet[turn:] + alphabet[:turn])
    )


@second_opinion
def water_tank(text: str) -> str:
    size, *changes = map(int, text.split())
    water, events = 0, ""
    for change in changes:
        target = water + change
        water = sorted([0, target, size])[1]
        events += "s" * (water < target) + "d" * (water > target)
    return f"{water} {events.count('s')} {events.count('d')}"


@second_opinion
def left_to_right(text: str) -> str:
    words = text.split()
    expression = "(" * (len(words) // 2) + words[0]
    for sign, number in zip(words[1::2], words[2::2], strict=True):
        expression += f"{sign}{number})"
    return str(eval(expression))


@second_opinion
def longest_rise(text: str) -> str:
    numbers = [int(word) for word in text.split()]
    n = len(numbers)
    rises = [
        (b - a, -a)
        for a in range(n)
        for b in range(a + 1, n + 1)
        if numbers[a:b] == sorted(numbers[a:b])
    ]
    length, start = max(rises)
    return f"{length} {1 - start}"


@second_opinion
def lamps(text: str) -> str:
    count, _, *commands = text.split("\n")
    on: set[int] = set()
    for command in filter(None, commands):
        kind, first, last = command.split()
        chosen = set(range(int(first), int(last) + 1))
        on = {"on": on | chosen, "off": on - chosen, "flip": on ^ chosen}[kind]
    assert on <= set(range(1, int(count) + 1))
    return str(len(on))


@second_opinion
def prime_factors(text: str) -> str:
    number = int(text)
    if number == 1:
        return "none"
    smallest = min(d for d in range(2, number + 1) if number % d == 0)
    rest = prime_factors(str(number // smallest))
    return str(smallest) if rest == "none" else f"{smallest} {rest}"


# ---- competition, call style


@second_opinion
def shortest_path(grid: list[str]) -> int:
    far = 10**6
    steps = {(y, x): far for y, row in enumerate(grid) for x, c in enumerate(row) if c == "."}
    steps[0, 0] = 0
    for _ in steps:
        for y, x in steps:
            near = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            steps[y, x] = min(steps[y, x], 1 + min(steps.get(cell, far) for cell in near))
    found = steps[len(grid) - 1, len(grid[0]) - 1]
    return found if found < far else -1


@second_opinion
def fewest_coins(amount: int, coins: list[int]) -> int:
    sums = {0}
    for count in range(amount + 1):
        if amount in sums:
            return count
        sums = {s + coin for s in sums for coin in coins if s + coin <= amount}
    return -1


@second_opinion
def count_islands(grid: list[str], least: int) -> int:
    label = {(y, x): (y, x) for y, row in enumerate(grid) for x, c in enumerate(row) if c == "#"}
    for _ in label:
        for y, x in label:
            near = [(y, x), (y + 1, x), (y, x + 1), (y - 1, x), (y, x - 1)]
            label[y, x] = min(label[cell] for cell in near if cell in label)
    return sum(size >= least for size in collections.Counter(label.values()).values())


@second_opinion
def letters_to_change(left: str, right: str) -> int:
    def parts(text: str) -> set[str]:
        chosen = itertools.product([0, 1], repeat=len(text))
        return {"".join(itertools.compress(text, mask)) for mask in chosen}

    return len(left) + len(right) - 2 * longest(list(parts(left) & parts(right)))


@second_opinion
def most_jobs(jobs: list[list[int]], rest: int, closing: int) -> int:
    able = [job for job in jobs if job[0] < job[1] and job[1] <= closing]

    def works(chosen: tuple[list[int], ...]) -> bool:
        ordered = sorted(chosen)
        return all(b[0] - a[1] >= rest for a, b in itertools.pairwise(ordered))

    sizes = range(len(able), -1, -1)
    return next(n for n in sizes if any(map(works, itertools.combinations(able, n))))


@second_opinion
def calculate(text: str) -> Any:
    return eval(text)


@second_opinion
def build_order(needs: dict[str, list[str]]) -> list[str]:
    able = list(itertools.permutations(sorted(needs)))
    for order in able:  # the first in the alphabet of all orders that respect the needs
        place = {task: i for i, task in enumerate(order)}
        if all(place[need] < place[task] for task in needs for need in needs[task]):
            return list(order)
    return []


# ---- competition, standard input


@second_opinion
def bumping_robot(text: str) -> str:
    height, *rest = text.split("\n")
    free = {
        complex(x, y)
        for y, row in enumerate(rest[: int(height)])
        for x, cell in enumerate(row)
        if cell == "."
    }
    place, bumps = 0j, 0
    for move in map({"U": -1j, "D": 1j, "L": -1, "R": 1}.__getitem__, rest[int(height)]):
        bumps += place + move not in free
        place = place + move if place + move in free else place
    return f"{int(place.imag) + 1} {int(place.real) + 1} {bumps}"


@second_opinion
def stack_machine(text: str) -> str:
    stack: tuple[Any, ...] = ()
    for number, line in enumerate(text.splitlines()[1:], 1):
        match line.split():
            case ["push", value]:
                stack = (*stack, ast.literal_eval(value))
            case [kind]:
                if not stack[1:]:
                    return f"error {number}"
                result = getattr(operator, kind)(stack[-2], stack[-1])
                stack = (*stack[:-2], result)
    return " ".join(map(str, stack))


@second_opinion
def growing_cells(text: str) -> str:
    first, *rows = text.strip("\n").split("\n")
    steps, height = map(int, first.split())
    places = list(itertools.product(range(height), range(len(rows[0]))))
    alive = {(y, x) for y, x in places if rows[y][x] == "#"}
    for _ in range(steps):
        near = collections.Counter(
            (y + dy, x + dx)
            for y, x in alive
            for dy, dx in itertools.product((-1, 0, 1), repeat=2)
            if (dy, dx) != (0, 0)
        )
        alive = {p for p in places if near[p] == 3 or (p in alive and near[p] == 2)}
    grid = [["."] * len(rows[0]) for _ in range(height)]
    for y, x in alive:
        grid[y][x] = "#"
    return "\n".join(map("".join, grid))


@second_opinion
def bank(text: str) -> str:
    accounts: dict[str, list[int]] = {}
    printed = []
    for command in text.splitlines()[1:]:
        kind, name, *amount = command.split()
        change = sum(map(int, amount)) * (-1 if kind == "take" else 1)
        there = name in accounts
        allowed = there != (kind == "open") and sum(accounts.get(name, [])) + change >= 0
        if allowed:
            accounts[name] = [*accounts.get(name, []), change]
        else:
            printed.append("refused")
    return "\n".join([*printed, *(f"{name} {sum(accounts[name])}" for name in sorted(accounts))])


@second_opinion
def cheapest_way(text: str) -> str:
    towns, roads, *rest = map(int, text.split())
    near = collections.defaultdict(list)
    for a, b, cost in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        near[a].append((b, cost))
        near[b].append((a, cost))
    assert len(rest) == 3 * roads
    queue = [(0, 1)]
    final: dict[int, int] = {}
    while queue:
        cost, town = heapq.heappop(queue)
        if final.setdefault(town, cost) == cost:
            for other, more in near.pop(town, []):
                heapq.heappush(queue, (cost + more, other))
    return str(final.get(towns, -1))
