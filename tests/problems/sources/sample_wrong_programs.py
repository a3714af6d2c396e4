"""Wrong programs for each problem of the sample, which its tests must reject.

Each is the canonical solution with some of its text replaced: a boundary that is off by one, two
branches in the wrong order, a case that was forgotten, letters of both cases taken for the same,
numbers compared as text, things that occur twice counted once, too few rounds. Replacements are
``(old, new)`` pairs or, for one program that needs several, lists of them. Where the mistake is
another algorithm, the whole program stands in `WHOLE`.
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
        ("3 * hours", "3 * min(hours, 24)"),
    ],
    "grade": [
        (">= 90", "> 90"),
        (">= 75", "> 75"),
        (">= 50", ">= 51"),
        swapped("75", "50"),
        ("score >= 90", "str(score) >= '90'"),
    ],
    "count_longer": [
        ("> size", ">= size"),
        ("count = 0", "count = 1"),
        ("+= 1", "+= len(word)"),
        ("in words", "in set(words)"),
    ],
    "last_even": [
        ("found = number", "return number"),
        ("found = -1", "found = 0"),
        ("% 2 == 0", "% 2 == 1"),
        ("in numbers", "in sorted(numbers)"),
        ("in numbers", "in dict.fromkeys(numbers)"),
    ],
    "ticket_price": [
        ("age < 6", "age <= 6"),
        ("< 18", "<= 18"),
        (">= 65", "> 65"),
        ("        return 0\n", "        price = 0\n"),
        ("    if member:", "    elif member:"),
        ("    if member:", "    if member and price == 8:"),
    ],
    "sum_of_multiples": [
        ("== 0", "== 1"),
        ("total += number", "total += 1"),
        ("== 0", "!= 0"),
        ("in numbers", "in set(numbers)"),
        ("in numbers", "in map(abs, numbers)"),
    ],
    "first_repeat": [
        ('return ""', "return None"),
        ("return letter", 'return ""'),
        swapped(
            "        if letter in seen:\n            return letter\n",
            "        seen.add(letter)\n",
        ),
        [("if letter in", "if letter.lower() in"), ("add(letter)", "add(letter.lower())")],
        ("if letter in", "if letter.isalpha() and letter in"),
    ],
    "count_matches": [
        ("a == b", "a != b"),
        ("zip(left, right)", "zip(left[1:], right[1:])"),
        ("zip(left, right)", "zip(sorted(left), sorted(right))"),
        ("a == b", "a.lower() == b.lower()"),
        ("a == b", "a == b and a.isalpha()"),
    ],
    "keep_between": [
        ("low <= number", "low < number"),
        ("number <= high", "number < high"),
        ("return kept", "return sorted(kept)"),
        ("in numbers", "in dict.fromkeys(numbers)"),
        ("low <= number <= high", "str(low) <= str(number) <= str(high)"),
    ],
    "low_stock": [
        ("< limit", "<= limit"),
        ("sorted(stock)", "stock"),
        ("< limit", "> limit"),
        ("sorted(stock)", "sorted(stock, key=lambda name: (stock[name], name))"),
        ("sorted(stock)", "sorted(stock, key=str.lower)"),
        ("stock[name] < limit", "str(stock[name]) < str(limit)"),
    ],
    "longest_word": [
        ("len(word) > len", "len(word) >= len"),
        ("len(word) > len(longest)", "word > longest"),
        ("in words:", "in words[1:]:"),
        ('longest = ""', 'longest = "-"'),
    ],
    "odd_digit_sum": [
        ("number > 0", "number > 9"),
        ("== 1", "== 0"),
        ("total += digit", "total += 1"),
        ("total += digit", "total |= digit"),
    ],
    "halving_steps": [
        ("number > 1", "number > 2"),
        ("steps = 0", "steps = 1"),
        ("number += 1", "number -= 1"),
        ("//= 2", "/= 2"),
        ("number > 1", "number > 1 and steps < 99"),
    ],
    "triangle_kind": [
        ("a + b <= c", "a + b < c"),
        ("if a == b or b == c:", "if a == b:"),
        ("if a == b or b == c:", "if b == c:"),
        swapped(
            '    if a == c:\n        return "regular"\n',
            '    if a == b or b == c:\n        return "pointed"\n',
        ),
        ("a + b <= c", "str(a + b) <= str(c)"),
    ],
    # ---- introductory, standard input
    "count_positive": [
        ("> 0", ">= 0"),
        ("> 0", "> 1"),
        ("+= 1", "+= number"),
        ("map(int, input().split())", "map(int, set(input().split()))"),
    ],
    "count_vowels": [
        ('"aeiou"', '"aeio"'),
        ("if letter in", "if letter not in"),
        ('"aeiou"', '"aeiouy"'),
        ("in input()", "in set(input())"),
    ],
    "greater_one": [
        ("a > b", "a >= b"),
        ("a < b", "a <= b"),
        swapped('"first"', '"second"'),
        ("map(int, input().split())", "input().split()"),
        ("map(int, input().split())", "map(abs, map(int, input().split()))"),
    ],
    "tick_tock": [
        ("+ 1)", ")"),
        ("range(1, ", "range("),
        swapped(
            'number % 3 == 0:\n            print("tick")',
            'number % 5 == 0:\n            print("tock")',
        ),
        ("int(input()) + 1", "min(int(input()), 20) + 1"),
    ],
    "warmer_days": [
        ("> days", ">= days"),
        ("range(1,", "range(2,"),
        ("> days[i - 1]", "> days[0]"),
        ("list(map(int, input().split()))", "input().split()"),
        ("list(map(int, input().split()))", "list(map(abs, map(int, input().split())))"),
    ],
    "lines_until_end": [
        ('        if line != "":\n            count += 1\n', "        count += 1\n"),
        ("count = 0", "count = 1"),
        ('while line != "end"', 'while not line.startswith("end")'),
        [
            ("    line = input()\n    while", "    line = input().strip()\n    while"),
            ("        line = input()\n", "        line = input().strip()\n"),
        ],
        ('if line != ""', "if line.strip()"),
        ('while line != "end"', 'while line.strip() != "end"'),
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
        ("word.isalpha()", 'not any(c.isdigit() or c == "-" for c in word)'),
        ("word.isalpha()", "word.isalpha() and word in (word.lower(), word.upper())"),
        ("word.isalpha()", 'word.replace("_", "a").isalpha()'),
    ],
    "account": [
        ("<= balance", "< balance"),
        ("elif int(amount) <= balance:", "else:"),
        ("balance = int(input())", "balance = 0 * int(input())"),
        ("elif int(amount) <= balance", "elif amount <= str(balance)"),
    ],
    "order_total": [
        (">= 10", "> 10"),
        ("< 50", "<= 50"),
        swapped(
            "    if pieces >= 10:\n        total -= 20\n",
            "    if total < 50:\n        total += 6\n",
        ),
        ("total = pieces * price", "total = max(pieces * price, 25)"),
    ],
    "wave_text": [("== 0", "== 1"), ("% 2", "% 3"), ("letter.upper()", "letter.lower()")],
    # ---- interview, call style
    "balanced": [
        ("return not opened", "return True"),
        ("not opened or ", ""),
        ('not in ("()", "[]")', 'not in ("()", "[]", "(]", "[)")'),
        ('elif letter in ")]"', "else"),
        ('letter in ")]"', 'letter in ")]}"'),
    ],
    "merge_intervals": [
        ("start >= end", "start > end"),
        ("start <= merged", "start < merged"),
        ("sorted(intervals)", "intervals"),
        ("max(end, merged[-1][1])", "end"),
        ("sorted(intervals)", "sorted(intervals, key=str)"),
        ("in sorted(intervals)", "in sorted(intervals, key=lambda interval: interval[1])"),
        ("    merged = []\n", "    merged = [[0, 0]]\n"),
    ],
    "compress": [
        ("> 1", ">= 1"),
        ("> 1", "> 2"),
        ("str(end - start)", "str(end - start + 1)"),
        ("    start = 0\n", "    start = 0\n    text = text.lower()\n"),
        ("text[end] == text[start]", "text[end].lower() == text[start].lower()"),
        ("if end - start > 1", "if end - start > 1 and text[start].isalpha()"),
        ("str(end - start)", "str(end - start)[0]"),
    ],
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
        ("best = max(best, streak)", "best = max(best, min(streak, 9))"),
    ],
    "coins_needed": [
        (">= coin", "> coin"),
        (", reverse=True", ""),
        ("while amount", "if amount"),
        ("    if amount > 0:\n        return -1\n", ""),
        ("sorted(coins, reverse=True)", "sorted(coins, key=str, reverse=True)"),
    ],
    "compare_versions": [
        ("int(part) for part in left", "part for part in left"),
        ("x < y", "x <= y"),
        ("    a += [0] * (size - len(a))\n    b += [0] * (size - len(b))\n", ""),
        swapped("return -1", "return 1"),
        ("zip(a, b)", "zip(a[:3], b[:3])"),
        ("zip(a, b)", "zip(a[:4], b[:4])"),
    ],
    "vend": [
        (">= price", "> price"),
        ("money -= price", "money = 0"),
        ("+= 10", "+= 5"),
        ('event == "back"', 'event == "buy"'),
        ("money += 10", "money = min(money + 10, 60)"),
        ('event == "back"', 'event == "back" and money < price'),
    ],
    "frequent_words": [
        (">= 3", "> 3"),
        (">= least", "> least"),
        ("sorted(counts)", "counts"),
        (">= least", "== least"),
        ("text.split()", "text.lower().split()"),
        ("sorted(counts)", "sorted(counts, key=counts.get)"),
        ("sorted(counts)", "sorted(counts, key=counts.get, reverse=True)"),
        ("sorted(counts)", "sorted(counts, key=str.lower)"),
        ("in text.split()", "in (word.strip(',') for word in text.split())"),
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
        ("ways[-1] + ways[-2]", "min(100, ways[-1] + ways[-2])"),
        ("stair in broken", "stair in broken[:1]"),
        ("stair in broken", "broken.count(stair) == 1"),
    ],
    "second_largest": [
        ("elif number != first:", "else:"),
        ("> first", ">= first"),
        ("            second = first\n", ""),
        ("max(second, number)", "number"),
        ("in numbers", "in sorted(numbers)[-2:]"),
        ("    return second", "    return sorted(numbers)[-2] if second >= 0 else -1"),
    ],
    "simplify_path": [
        ("            if parts:\n                parts.pop()\n", "            parts.pop()\n"),
        ('("", ".")', '(".",)'),
        ('return "/" + ', "return "),
        ('part == ".."', 'part.startswith("..")'),
        (
            "            if parts:\n                parts.pop()\n",
            "            parts = parts[:-2]\n",
        ),
        ('path.split("/")', 'path.replace("//", "/").split("/")[1:]'),
    ],
    "lift_stops": [
        ("> top", ">= top"),
        ("< 0", "<= 0"),
        ("            floor = top\n", ""),
        ("floor = top", "floor -= move"),
        ("cuts += 1\n        elif", "cuts = 1\n        elif"),
    ],
    "meeting_state": [
        ("start < last", "start <= last"),
        ("first < end", "first <= end"),
        (" or end == first", ""),
        ('            state = "touch"', '            return "touch"'),
        ('            return "clash"', '            state = "clash"'),
        ("in meetings", "in meetings[:1]"),
        ("in meetings", "in meetings[-1:]"),
        (
            '            state = "touch"\n',
            '            state = "touch"\n        else:\n            state = "free"\n',
        ),
    ],
    # ---- interview, standard input
    "waiting_line": [
        ("pop(0)", "pop()"),
        ("    print(len(waiting))\n", ""),
        ('            print("nobody")', "            pass"),
        ("waiting.append(words[1])", "waiting += [words[1]] * (words[1] not in waiting)"),
        ("waiting.append(words[1])", "waiting = (waiting + [words[1]])[:9]"),
    ],
    "lonely_trees": [
        (" + grid[y + 1][x]", ""),
        ('"#" not in beside', 'beside.count("#") < 2'),
        ("range(1, len(grid) - 1)", "range(2, len(grid) - 1)"),
        ("range(int(input()))", "range(int(input()[0]))"),
        ("        for x in", "        grid[0] = grid[-2]\n        for x in"),
    ],
    "best_result": [
        (">= mark", "> mark"),
        ("> top", ">= top"),
        (
            "            count += 1\n            if count == 1 or int(score) > top:\n",
            "            count += 1\n            if count == 1:\n",
        ),
        ("count == 1 or ", ""),
        ("int(score) > top", "score > str(top)"),
        (
            'best, top, count = "nobody", 0, 0',
            'best, top, count = "nobody", 0, 0\n    mark = max(mark, 0)',
        ),
    ],
    "league_points": [
        ("own > other", "own >= other"),
        ("points += 3", "points += 2"),
        ("own - other", "own"),
        ("elif own == other:", "else:"),
        ("own > other", "str(own) > str(other)"),
        ('map(int, result.split(":"))', "int(result[0]), int(result[-1])"),
        ('map(int, result.split(":"))', "map(int, (result[: result.index(':')], result[-1]))"),
    ],
    "secret_text": [
        (" % 26", ""),
        ("- 97 + shift", "- 97 - shift"),
        ("letter.islower()", "letter.isalpha()"),
        ('        elif letter.isdigit():\n            result += "#"\n', ""),
        (
            "(ord(letter) - 97 + shift) % 26 + 97",
            "ord(letter) + shift - 26 * (ord(letter) + shift > 122)",
        ),
        ("shift = int(input())", "shift = int(input()[:2])"),
        ("in input():", 'in input() or "a":'),
    ],
    "water_tank": [
        ("> size", ">= size"),
        ("< 0", "<= 0"),
        ("            water = size\n", ""),
        swapped("spilled += 1", "dry += 1"),
        ("map(int, input().split())", "map(int, input().split()[:3])"),
    ],
    "left_to_right": [
        ("value -= number", "value = number - value"),
        ("range(1, ", "range(3, "),
        swapped("+= number", "-= number"),
        ("range(1, len(words), 2)", "range(1, min(len(words), 6), 2)"),
        ("int(words[i + 1])", "int(words[i + 1][:1])"),
    ],
    "longest_rise": [
        ("numbers[i] < ", "numbers[i] <= "),
        ("> best:", ">= best:"),
        ("best, best_start, start = 1, 1, 1", "best, best_start, start = 0, 1, 1"),
        ("list(map(int, input().split()))", "input().split()"),
        ("list(map(int, input().split()))", "list(map(abs, map(int, input().split())))"),
    ],
    "lamps": [
        ("int(first) - 1, int(last)", "int(first), int(last)"),
        ("int(first) - 1, int(last)", "int(first) - 1, int(last) - 1"),
        ("1 - lamps[i]", "1"),
        swapped('"on"', '"off"'),
        ("range(int(first) - 1, int(last))", "range(int(first[0]) - 1, int(last[0]))"),
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
        [
            ("border = [land.pop()]", "border = [min(land)]\n        land.remove(border[0])"),
            ("(y - 1, x), ", ""),
        ],
        [
            ("border = [land.pop()]", "border = [min(land)]\n        land.remove(border[0])"),
            (", (y, x - 1)", ""),
        ],
        ("(y - 1, x), ", "((y - 1) % len(grid), x), "),
        ("size += 1", "size = min(size + 1, 9)"),
    ],
    "letters_to_change": [
        ("least[i, j] = j\n", "least[i, j] = 0\n"),
        ("least[i, j] = i\n", "least[i, j] = j\n"),
        ("least[i, j - 1])", "least[i, j - 1], least[i - 1, j - 1])"),
        ("1 + min", "2 + min"),
        ("left[i - 1] == right[j - 1]", "left[i - 1].lower() == right[j - 1].lower()"),
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
        ("min(ready)", "min(ready, key=str.lower)"),
        ("while len(done) < len(needs)", "while len(done) < min(5, len(needs))"),
        ("            if all(need", "            if len(needs[task]) <= len(done) and all(need"),
    ],
    # ---- competition, standard input
    "bumping_robot": [
        ("print(y + 1, x + 1, bumps)", "print(y, x, bumps)"),
        ("0 <= row < len(grid)", "row < len(grid)"),
        ('inside and grid[row][column] == "."', "inside"),
        swapped("row -= 1", "row += 1"),
        ("range(int(input()))", "range(int(input()[0]))"),
        ("print(y + 1, x + 1, bumps)", "print(y + 1, min(x + 1, 9), bumps)"),
    ],
    "stack_machine": [
        ("< 2", "< 1"),
        ("< 2", "< 3"),
        ("upper, lower =", "lower, upper ="),
        ("range(1, int(input()) + 1)", "range(int(input()))"),
        ("            return\n", "            continue\n"),
        ('print("error", line)', 'print("error", min(line, 9))'),
        ("int(words[1])", "abs(int(words[1]))"),
    ],
    "growing_cells": [
        ("alive == 3 or ", ""),
        (" and grid[y][x] ==", " and grid[y][x] !="),
        ("x - 1) : x + 2]", "x - 1) : x + 1]"),
        ("max(0, y - 1)", "y"),
        ("        grid = following\n", ""),
        ("range(steps)", "range(min(steps, 5))"),
        ("grid[max(0, y - 1) : y + 2]", "[grid[k % height] for k in range(y - 1, y + 2)]"),
        (
            "following.append(line)",
            "following.append(line)\n            grid = following + grid[y + 1 :]",
        ),
    ],
    "bank": [
        ("<= money", "< money"),
        (" and int(rest[0]) <= money[name]", ""),
        (' == "open" and name not in money', ' == "open"'),
        ("sorted(money)", "money"),
        ("sorted(money)", "sorted(money, key=lambda name: (money[name], name))"),
        ("sorted(money)", "sorted(money, key=lambda name: (-money[name], name))"),
        ("sorted(money)", "sorted(money, key=str.lower)"),
        ("int(rest[0]) <= money[name]:", "rest[0] <= str(money[name]):"),
        ("name, *rest = input().split()", "name, *rest = input().lower().split()"),
    ],
    "cheapest_way": [
        ("((a, b), (b, a))", "((a, b),)"),
        ("for _ in range(towns)", "for _ in range(1)"),
        ("cost < costs", "cost > costs"),
        ("        print(-1)", "        print(0)"),
        (
            "    costs =",
            "    table = {(a, b): [a, b, c] for a, b, c in table}.values()\n    costs =",
        ),
        ("    costs =", "    table = {tuple(r[:2]): r for r in table[::-1]}.values()\n    costs ="),
        ("if end not in costs or cost < costs[end]", "if cost < costs.get(end, 100)"),
        ("if end not in costs or cost < costs[end]", "if cost < costs.get(end, 1000000)"),
        ("for _ in range(towns)", "for _ in range(2)"),
        ("for _ in range(towns)", "for _ in range(5)"),
    ],
}


WHOLE: dict[str, list[str]] = {
    "wave_text": [
        """\
def main():
    result = ""
    count = 0
    for letter in input():
        if letter == " ":
            result += letter
            continue
        count += 1
        result += letter.upper() if count % 2 == 1 else letter
    print(result)
""",
        """\
def main():
    words = input().split(" ")
    print(*("".join(c.upper() if i % 2 == 0 else c for i, c in enumerate(w)) for w in words))
""",
    ],
    "balanced": [
        """\
def balanced(text):
    brackets = "".join(letter for letter in text if letter in "()[]")
    for _ in range(3):
        brackets = brackets.replace("()", "").replace("[]", "")
    return not brackets
""",
        """\
def balanced(text):
    return text.count("(") == text.count(")") and text.count("[") == text.count("]")
""",
    ],
    "robot_position": [
        """\
def robot_position(commands):
    x, y, direction = 0, 0, 0
    for command in commands:
        if command == "L":
            direction -= 1
        elif command == "R":
            direction += 1
        else:
            if direction < 0:
                direction += 4
            if direction > 3:
                direction -= 4
            x += [0, 1, 0, -1][direction]
            y += [1, 0, -1, 0][direction]
    return [x, y]
""",
    ],
    "coins_needed": [
        """\
def coins_needed(amount, coins):
    least = {0: 0}
    for total in range(1, amount + 1):
        counts = [least[total - coin] + 1 for coin in coins if total - coin in least]
        if counts:
            least[total] = min(counts)
    return least.get(amount, -1)
""",
    ],
    "best_result": [
        """\
def main():
    mark = int(input())
    scores = {}
    for _ in range(int(input())):
        name, score = input().split()
        if int(score) >= mark:
            scores[name] = int(score)
    print(max(scores, key=scores.get) if scores else "nobody", len(scores))
""",
    ],
    "left_to_right": [
        """\
def main():
    print(eval(input()))
""",
    ],
    "prime_factors": [
        """\
def main():
    number = int(input())
    factors = []
    for divisor in range(2, 98):
        while number % divisor == 0:
            factors.append(divisor)
            number //= divisor
    print(*factors if factors else ["none"])
""",
        """\
def main():
    number = int(input())
    factors = []
    for divisor in (2, 3, 5, 7, 97):
        while number % divisor == 0:
            factors.append(divisor)
            number //= divisor
    print(*factors if factors else ["none"])
""",
    ],
    "shortest_path": [
        """\
def shortest_path(grid):
    height, width = len(grid), len(grid[0])
    steps = [[10**9] * width for _ in grid]
    steps[0][0] = 0
    for _ in range(2):
        for y in [*range(height), *range(height - 1, -1, -1)]:
            for x in [*range(width), *range(width - 1, -1, -1)]:
                for row, column in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                    if grid[y][x] == "." and 0 <= row < height and 0 <= column < width:
                        steps[y][x] = min(steps[y][x], steps[row][column] + 1)
    return steps[-1][-1] if steps[-1][-1] < 10**9 else -1
""",
        """\
def shortest_path(grid):
    seen = set()

    def walk(y, x):
        if not (0 <= y < len(grid) and 0 <= x < len(grid[0])):
            return -1
        if grid[y][x] != "." or (y, x) in seen:
            return -1
        if (y, x) == (len(grid) - 1, len(grid[0]) - 1):
            return 0
        seen.add((y, x))
        for cell in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            steps = walk(*cell)
            if steps >= 0:
                return steps + 1
        return -1

    return walk(0, 0)
""",
    ],
    "fewest_coins": [
        """\
def fewest_coins(amount, coins):
    counts = []
    ordered = sorted(coins, reverse=True)

    def pay(rest, k, count):
        if rest == 0:
            counts.append(count)
        elif k < len(ordered):
            most = rest // ordered[k]
            for taken in range(most, max(-1, most - 3), -1):
                pay(rest - taken * ordered[k], k + 1, count + taken)

    pay(amount, 0, 0)
    return min(counts, default=-1)
""",
    ],
    "letters_to_change": [
        """\
def letters_to_change(left, right):
    start = 0
    same = 0
    for letter in left:
        place = right.find(letter, start)
        if place >= 0:
            same += 1
            start = place + 1
    return len(left) + len(right) - 2 * same
""",
        """\
import difflib


def letters_to_change(left, right):
    blocks = difflib.SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks()
    return len(left) + len(right) - 2 * sum(block.size for block in blocks)
""",
    ],
    "most_jobs": [
        """\
def most_jobs(jobs, rest, closing):
    able = [job for job in jobs if job[0] < job[1] <= closing]
    taken = []
    for start, end in sorted(able, key=lambda job: job[1] - job[0]):
        if all(start >= last + rest or first >= end + rest for first, last in taken):
            taken.append((start, end))
    return len(taken)
""",
        """\
def most_jobs(jobs, rest, closing):
    able = [job for job in jobs if job[0] < job[1] <= closing]

    def clash(a, b):
        return a[0] < b[1] + rest and b[0] < a[1] + rest

    taken = []
    for job in sorted(able, key=lambda a: sum(clash(a, b) for b in able)):
        if not any(clash(job, other) for other in taken):
            taken.append(job)
    return len(taken)
""",
    ],
    "calculate": [
        """\
import re


def calculate(text):
    def product(term):
        factors = [*map(int, term.split("*")), 1, 1]
        return factors[0] * factors[1] * factors[2]

    parts = re.split("([+-])", text)
    total = product(parts[0])
    for sign, term in zip(parts[1::2], parts[2::2]):
        total += product(term) if sign == "+" else -product(term)
    return total
""",
    ],
    "build_order": [
        """\
def build_order(needs):
    done = []

    def do(task, path):
        if task in done:
            return True
        if task in path or not all(do(need, [*path, task]) for need in sorted(needs[task])):
            return False
        done.append(task)
        return True

    return done if all(do(task, []) for task in sorted(needs)) else []
""",
    ],
}
"""Wrong programs that are no variant of the solution: another algorithm, which does not do."""


def wrong_programs(name: str, solution: str) -> list[str]:
    """The wrong programs of a problem.

    Args:
        name: Of the problem.
        solution: Its canonical solution.

    Raises:
        ValueError: If a text to be replaced is not in the solution exactly once.
    """
    programs = list(WHOLE.get(name, ()))
    for change in WRONG[name]:
        program = solution
        for old, new in change if isinstance(change, list) else [change]:
            if program.count(old) != 1:
                raise ValueError(f"{name}: {old!r} occurs {program.count(old)} times in\n{program}")
            program = program.replace(old, new)
        programs.append(program)
    return programs
