"""Wrong programs for each problem of the sample, which its tests must reject.

Each is the canonical solution with some of its text replaced: a boundary that is off by one, two
branches in the wrong order, a case that was forgotten. Replacements are ``(old, new)`` pairs or,
for one program that needs several, lists of them.
"""

from __future__ import annotations

_Change = tuple[str, str] | list[tuple[str, str]]


def swapped(first: str, second: str) -> list[tuple[str, str]]:
    """Two pieces of text in each other's place."""
    return [(first, "\0"), (second, first), ("\0", second)]


WRONG: dict[str, list[_Change]] = {
    # ---- introductory, call style
    "parking_fee": [
        ("> 5", ">= 5"),
        ("> 5", "> 6"),
        ("    if hours > 5:\n        fee += 10\n", ""),
    ],
    "grade": [(">= 90", "> 90"), (">= 75", "> 75"), (">= 50", ">= 51"), swapped("75", "50")],
    "count_longer": [("> size", ">= size"), ("count = 0", "count = 1"), ("+= 1", "+= len(word)")],
    "last_even": [
        ("found = number", "return number"),
        ("found = -1", "found = 0"),
        ("% 2 == 0", "% 2 == 1"),
    ],
    "ticket_price": [
        ("age < 6", "age <= 6"),
        ("< 18", "<= 18"),
        (">= 65", "> 65"),
        ("        return 0\n", "        price = 0\n"),
        ("    if member:", "    elif member:"),
    ],
    "sum_of_multiples": [("== 0", "== 1"), ("total += number", "total += 1"), ("== 0", "!= 0")],
    "first_repeat": [
        ('return ""', "return None"),
        ("return letter", 'return ""'),
        swapped(
            "        if letter in seen:\n            return letter\n",
            "        seen.add(letter)\n",
        ),
    ],
    "count_matches": [
        ("a == b", "a != b"),
        ("zip(left, right)", "zip(left[1:], right[1:])"),
        ("zip(left, right)", "zip(sorted(left), sorted(right))"),
    ],
    "keep_between": [
        ("low <= number", "low < number"),
        ("number <= high", "number < high"),
        ("return kept", "return sorted(kept)"),
    ],
    "low_stock": [("< limit", "<= limit"), ("sorted(stock)", "stock"), ("< limit", "> limit")],
    "longest_word": [
        ("len(word) > len", "len(word) >= len"),
        ("len(word) > len(longest)", "word > longest"),
        ("in words:", "in words[1:]:"),
    ],
    "odd_digit_sum": [
        ("number > 0", "number > 9"),
        ("== 1", "== 0"),
        ("total += digit", "total += 1"),
    ],
    "halving_steps": [
        ("number > 1", "number > 2"),
        ("steps = 0", "steps = 1"),
        ("number += 1", "number -= 1"),
    ],
    "triangle_kind": [
        ("a + b <= c", "a + b < c"),
        ("if a == b or b == c:", "if a == b:"),
        ("if a == b or b == c:", "if b == c:"),
        swapped(
            '    if a == c:\n        return "regular"\n',
            '    if a == b or b == c:\n        return "pointed"\n',
        ),
    ],
    # ---- introductory, standard input
    "count_positive": [("> 0", ">= 0"), ("> 0", "> 1"), ("+= 1", "+= number")],
    "count_vowels": [
        ('"aeiou"', '"aeio"'),
        ("if letter in", "if letter not in"),
        ('"aeiou"', '"aeiouy"'),
    ],
    "greater_one": [("a > b", "a >= b"), ("a < b", "a <= b"), swapped('"first"', '"second"')],
    "tick_tock": [
        ("+ 1)", ")"),
        ("range(1, ", "range("),
        swapped(
            'number % 3 == 0:\n            print("tick")',
            'number % 5 == 0:\n            print("tock")',
        ),
    ],
    "warmer_days": [
        ("> days", ">= days"),
        ("range(1,", "range(2,"),
        ("> days[i - 1]", "> days[0]"),
    ],
    "lines_until_end": [
        ('        if line != "":\n            count += 1\n', "        count += 1\n"),
        ("count = 0", "count = 1"),
        ('while line != "end"', 'while not line.startswith("end")'),
    ],
    "check_password": [
        ("< 8", "<= 8"),
        ("< 8", "< 7"),
        ("isalpha", "isalnum"),
        [
            ("len(word) < 8", "word.isalpha()"),
            ('"short"', '"weak"'),
            ("elif word.isalpha()", "elif len(word) < 8"),
            ('weak")\n    else', 'short")\n    else'),
        ],
    ],
    "account": [
        ("<= balance", "< balance"),
        ("elif int(amount) <= balance:", "else:"),
        ("balance = int(input())", "balance = 0 * int(input())"),
    ],
    "order_total": [
        (">= 10", "> 10"),
        ("< 50", "<= 50"),
        swapped(
            "    if pieces >= 10:\n        total -= 20\n",
            "    if total < 50:\n        total += 6\n",
        ),
    ],
    "wave_text": [("== 0", "== 1"), ("% 2", "% 3"), ("letter.upper()", "letter.lower()")],
    # ---- interview, call style
    "balanced": [
        ("return not opened", "return True"),
        ("not opened or ", ""),
        ('not in ("()", "[]")', 'not in ("()", "[]", "(]", "[)")'),
        ('elif letter in ")]"', "else"),
    ],
    "merge_intervals": [
        ("start >= end", "start > end"),
        ("start <= merged", "start < merged"),
        ("sorted(intervals)", "intervals"),
        ("max(end, merged[-1][1])", "end"),
    ],
    "compress": [("> 1", ">= 1"), ("> 1", "> 2"), ("str(end - start)", "str(end - start + 1)")],
    "robot_position": [
        swapped('"L"', '"R"'),
        ("dx, dy = 0, 1", "dx, dy = 1, 0"),
        ("y + dy", "y - dy"),
    ],
    "best_streak": [
        ('elif result == "L":', "else:"),
        ('result == "W"', 'result != "L"'),
        ("return best", "return streak"),
        ("            best = max(best, streak)\n", "            best = streak\n"),
    ],
    "coins_needed": [
        (">= coin", "> coin"),
        (", reverse=True", ""),
        ("while amount", "if amount"),
        ("    if amount > 0:\n        return -1\n", ""),
    ],
    "compare_versions": [
        ("int(part) for part in left", "part for part in left"),
        ("x < y", "x <= y"),
        ("    a += [0] * (size - len(a))\n    b += [0] * (size - len(b))\n", ""),
        swapped("return -1", "return 1"),
    ],
    "vend": [
        (">= price", "> price"),
        ("money -= price", "money = 0"),
        ("+= 10", "+= 5"),
        ('event == "back"', 'event == "buy"'),
    ],
    "frequent_words": [
        (">= 3", "> 3"),
        (">= least", "> least"),
        ("sorted(counts)", "counts"),
        (">= least", "== least"),
    ],
    "climb_ways": [
        ("range(1, stairs + 1)", "range(1, stairs)"),
        ("ways[-1] + ways[-2]", "ways[-1] * 2"),
        ("if stair in broken:", "if stair - 1 in broken:"),
        [
            ("stair in broken", "stair == 1"),
            ("ways.append(0)", "ways.append(1)"),
            ("elif stair == 1", "elif stair in broken"),
            ("append(1)\n        else", "append(0)\n        else"),
        ],
    ],
    "second_largest": [
        ("elif number != first:", "else:"),
        ("> first", ">= first"),
        ("            second = first\n", ""),
        ("max(second, number)", "number"),
    ],
    "simplify_path": [
        ("            if parts:\n                parts.pop()\n", "            parts.pop()\n"),
        ('("", ".")', '(".",)'),
        ('return "/" + ', "return "),
        ('part == ".."', 'part.startswith("..")'),
    ],
    "lift_stops": [
        ("> top", ">= top"),
        ("< 0", "<= 0"),
        ("            floor = top\n", ""),
        ("floor = top", "floor -= move"),
    ],
    "meeting_state": [
        ("start < last", "start <= last"),
        ("first < end", "first <= end"),
        (" or end == first", ""),
        ('            state = "touch"', '            return "touch"'),
    ],
    # ---- interview, standard input
    "waiting_line": [
        ("pop(0)", "pop()"),
        ("    print(len(waiting))\n", ""),
        ('            print("nobody")', "            pass"),
    ],
    "lonely_trees": [
        (" + grid[y + 1][x]", ""),
        ('"#" not in beside', 'beside.count("#") < 2'),
        ("range(1, len(grid) - 1)", "range(2, len(grid) - 1)"),
    ],
    "best_result": [
        (">= mark", "> mark"),
        ("> top", ">= top"),
        (
            "            count += 1\n            if count == 1 or int(score) > top:\n",
            "            count += 1\n            if count == 1:\n",
        ),
        ("count == 1 or ", ""),
    ],
    "league_points": [
        ("own > other", "own >= other"),
        ("points += 3", "points += 2"),
        ("own - other", "own"),
        ("elif own == other:", "else:"),
    ],
    "secret_text": [
        (" % 26", ""),
        ("- 97 + shift", "- 97 - shift"),
        ("letter.islower()", "letter.isalpha()"),
        ('        elif letter.isdigit():\n            result += "#"\n', ""),
    ],
    "water_tank": [
        ("> size", ">= size"),
        ("< 0", "<= 0"),
        ("            water = size\n", ""),
        swapped("spilled += 1", "dry += 1"),
    ],
    "left_to_right": [
        ("value -= number", "value = number - value"),
        ("range(1, ", "range(3, "),
        swapped("+= number", "-= number"),
    ],
    "longest_rise": [
        ("numbers[i] < ", "numbers[i] <= "),
        ("> best:", ">= best:"),
        ("best, best_start, start = 1, 1, 1", "best, best_start, start = 0, 1, 1"),
    ],
    "lamps": [
        ("int(first) - 1, int(last)", "int(first), int(last)"),
        ("int(first) - 1, int(last)", "int(first) - 1, int(last) - 1"),
        ("1 - lamps[i]", "1"),
        swapped('"on"', '"off"'),
    ],
    "prime_factors": [
        ("number > 1", "number > 2"),
        ("divisor = 2", "divisor = 1"),
        (
            "            number //= divisor\n",
            "            number //= divisor\n            divisor += 1\n",
        ),
        ('print("none")', "print(1)"),
    ],
    # ---- competition, call style
    "shortest_path": [
        ("steps = 0", "steps = 1"),
        (", (y, x - 1)", ""),
        ("((y - 1, x), ", "("),
        ('grid[row][column] == "." and ', ""),
        ("return -1", "return 0"),
    ],
    "fewest_coins": [
        ("count < fewest", "count > fewest"),
        ("total not in fewest or ", "total in fewest and "),
        ("    return -1", "    return 0"),
        ("for coin in coins", "for coin in sorted(coins)[-1:]"),
    ],
    "count_islands": [
        (">= least", "> least"),
        (", (y, x + 1)", ", (y, x + 1), (y + 1, x + 1)"),
        ("(y - 1, x), ", ""),
        ("size = 0", "size = 1"),
    ],
    "letters_to_change": [
        ("least[i, j] = j\n", "least[i, j] = 0\n"),
        ("least[i, j] = i\n", "least[i, j] = j\n"),
        ("least[i, j - 1])", "least[i, j - 1], least[i - 1, j - 1])"),
        ("1 + min", "2 + min"),
    ],
    "most_jobs": [
        ("key=lambda job: job[1]", "key=lambda job: job[0]"),
        ("end > closing", "end >= closing"),
        ("start >= end", "start > end"),
        (">= ready", "> ready"),
        ("end + rest", "end"),
        ("count == 0 or ", ""),
    ],
    "calculate": [
        ("total += term\n            term = -number", "total -= term\n            term = number"),
        ("10 * number + ", ""),
        ('text + "+"', "text"),
        ("            term *= number\n", "            total *= number\n"),
    ],
    "build_order": [
        ("min(ready)", "ready[0]"),
        ("min(ready)", "max(ready)"),
        ("return []", "return done"),
        ("all(", "any("),
    ],
    # ---- competition, standard input
    "bumping_robot": [
        ("print(y + 1, x + 1, bumps)", "print(y, x, bumps)"),
        ("0 <= row < len(grid)", "row < len(grid)"),
        ('inside and grid[row][column] == "."', "inside"),
        swapped("row -= 1", "row += 1"),
    ],
    "stack_machine": [
        ("< 2", "< 1"),
        ("< 2", "< 3"),
        ("upper, lower =", "lower, upper ="),
        ("range(1, int(input()) + 1)", "range(int(input()))"),
        ("            return\n", "            continue\n"),
    ],
    "growing_cells": [
        ("alive == 3 or ", ""),
        (" and grid[y][x] ==", " and grid[y][x] !="),
        ("x - 1) : x + 2]", "x - 1) : x + 1]"),
        ("max(0, y - 1)", "y"),
        ("        grid = following\n", ""),
    ],
    "bank": [
        ("<= money", "< money"),
        (" and int(rest[0]) <= money[name]", ""),
        (' == "open" and name not in money', ' == "open"'),
        ("sorted(money)", "money"),
    ],
    "cheapest_way": [
        ("((a, b), (b, a))", "((a, b),)"),
        ("for _ in range(towns)", "for _ in range(1)"),
        ("cost < costs", "cost > costs"),
        ("        print(-1)", "        print(0)"),
    ],
}


def wrong_programs(name: str, solution: str) -> list[str]:
    """The wrong programs of a problem.

    Args:
        name: Of the problem.
        solution: Its canonical solution.

    Raises:
        ValueError: If a text to be replaced is not in the solution exactly once.
    """
    programs = []
    for change in WRONG[name]:
        program = solution
        for old, new in change if isinstance(change, list) else [change]:
            if program.count(old) != 1:
                raise ValueError(f"{name}: {old!r} occurs {program.count(old)} times in\n{program}")
            program = program.replace(old, new)
        programs.append(program)
    return programs
