"""What a server does when it is asked for twice as much as it can do, and what HTTP costs.

A server is started on loopback. First it is asked by as many clients as keep it busy, which tells
its rate. Then requests come at a multiple of that rate, whether or not earlier ones are answered,
each with a program of its own whose output and exit code are known: every answer is compared, every
request must end in an answer or an error, and the server's memory is looked at each second. The
clients share the machine with the server.

    python -m benchmarks.serving [--seconds 60] [--factor 2]
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
import psutil
import tyro

from benchmarks import page
from codegym.execution import HTTPExecutor, LocalExecutor, Request, Stdin

_KINDS: tuple[tuple[str, str, int], ...] = (
    ("print(2 * int(input()))", "Success", 0),
    ("n = int(input())\nprint(sum(range(200_000)) - sum(range(200_000)) + 2 * n)", "Success", 0),
    ("print(2 * int(input()))\nraise SystemExit(3)", "Failed", 3),
    ("print(2 * int(input()))\n1 / 0", "Failed", 1),
)
"""Programs, and what SandboxFusion's answer says of them."""
_MIB = 2**20
_CLIENTS = 32  # each with its own connections: one takes a time that is quadratic in their number


@dataclasses.dataclass(frozen=True)
class Args:
    """A server under a load that it cannot bear."""

    seconds: float = 60.0
    """of load, after as many to find out what the server can do"""
    factor: float = 2.0
    """how many times its rate it is asked for"""
    queue: int = 64
    """requests that may wait in the server"""
    results: Path = page.RESULTS
    """where to write"""


@dataclasses.dataclass
class Tally:
    """What became of requests.

    Attributes:
        ends: How often each end came: an HTTP status, or the class of an error.
        wrong: Answers that are not what the program does.
        latencies: Seconds until an answer, of those that were run.
        sent: Requests.
    """

    ends: Counter[str] = dataclasses.field(default_factory=Counter)
    wrong: list[str] = dataclasses.field(default_factory=list)
    latencies: list[float] = dataclasses.field(default_factory=list)
    sent: int = 0

    def as_row(self) -> dict[str, Any]:
        """For the JSON file."""
        ordered = sorted(self.latencies) or [0.0]
        return {
            "sent": self.sent,
            "ends": dict(self.ends),
            "wrong": self.wrong[:20],
            "wrong_count": len(self.wrong),
            "median_seconds": ordered[len(ordered) // 2],
            "p99_seconds": ordered[int(0.99 * (len(ordered) - 1))],
        }


@contextlib.contextmanager
def server(queue: int) -> Iterator[tuple[str, psutil.Process]]:
    """A server of its own process: its URL, and the process."""
    command = [sys.executable, "-m", "codegym", "serve", "--port", "0", "--queue", str(queue)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[2].rstrip(","), psutil.Process(process.pid)
        finally:
            process.terminate()


async def ask(client: httpx2.AsyncClient, tally: Tally) -> None:
    """One request, as verl sends it, and a look at its answer."""
    number = tally.sent
    tally.sent += 1
    code, status, exit_code = _KINDS[number % len(_KINDS)]
    body = {"language": "python", "code": f"{code}\n# {number}\n", "stdin": f"{number}\n"}
    began = time.perf_counter()
    try:
        response = await client.post("/run_code", json=body)
    except httpx2.HTTPError as error:
        tally.ends[type(error).__name__] += 1
        return
    tally.ends[str(response.status_code)] += 1
    if response.status_code != 200:
        return
    tally.latencies.append(time.perf_counter() - began)
    said = response.json()
    result = said["run_result"] or {}
    seen = (said["status"], result.get("return_code"), result.get("stdout"))
    if seen != (status, exit_code, f"{2 * number}\n"):
        tally.wrong.append(f"{number}: {seen!r:.200}")


async def closed_loop(client: httpx2.AsyncClient, seconds: float, clients: int) -> Tally:
    """Clients that each ask again when they are answered."""
    tally, end = Tally(), time.perf_counter() + seconds

    async def go_on() -> None:
        while time.perf_counter() < end:
            await ask(client, tally)

    await asyncio.gather(*(go_on() for _ in range(clients)))
    return tally


async def open_loop(
    clients: Sequence[httpx2.AsyncClient], seconds: float, rate: float, process: psutil.Process
) -> tuple[Tally, list[int]]:
    """Requests at a rate, answered or not; and the server's resident bytes, each second."""
    tally, resident = Tally(), [process.memory_info().rss]
    began, begun = time.perf_counter(), 0
    asked: set[asyncio.Task[None]] = set()
    while (passed := time.perf_counter() - began) < seconds:
        while begun < passed * rate:
            begun += 1
            task = asyncio.ensure_future(ask(clients[begun % len(clients)], tally))
            asked.add(task)
            task.add_done_callback(asked.discard)
        if passed > len(resident):
            resident.append(process.memory_info().rss)
        await asyncio.sleep(0.5 / rate)
    await asyncio.gather(*asked)
    resident.append(process.memory_info().rss)
    return tally, resident


def rate_of(run: Callable[[Request], Any], seconds: float) -> float:
    """Requests a second of an executor, one after the other."""
    began, count = time.perf_counter(), 0
    while time.perf_counter() < began + seconds:
        run(Request(f"print(1)  # {count}", (Stdin(""),), coverage=False))
        count += 1
    return count / (time.perf_counter() - began)


def measure(args: Args) -> dict[str, Any]:
    """All that is on the page."""
    with server(args.queue) as (url, process):
        workers = httpx2.get(f"{url}/health", timeout=None).json()["workers"]

        async def load() -> tuple[Tally, float, Tally, list[int]]:
            limits = httpx2.Limits(max_connections=None)
            async with contextlib.AsyncExitStack() as stack:
                clients = [
                    await stack.enter_async_context(
                        httpx2.AsyncClient(base_url=url, limits=limits, timeout=None)
                    )
                    for _ in range(_CLIENTS)
                ]
                await closed_loop(clients[0], args.seconds / 10, 2 * workers)  # to warm up
                able = await closed_loop(clients[0], args.seconds, 2 * workers)
                rate = len(able.latencies) / args.seconds
                print(f"{rate:.0f} a second", flush=True)
                busy, resident = await open_loop(clients, args.seconds, args.factor * rate, process)
                return able, rate, busy, resident

        able, rate, busy, resident = asyncio.run(load())
        with HTTPExecutor(url) as executor:
            remote = rate_of(executor.run, args.seconds / 6)
    with LocalExecutor(workers=1) as local:
        at_home = rate_of(local.run, args.seconds / 6)
    return {
        "workers": workers,
        "queue": args.queue,
        "factor": args.factor,
        "seconds": args.seconds,
        "rate": rate,
        "able": able.as_row(),
        "busy": busy.as_row(),
        "resident_mib": [round(one / _MIB, 1) for one in resident],
        "one_after_the_other": {"HTTPExecutor": remote, "LocalExecutor": at_home},
    }


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The page."""
    asked = (
        f"What does a server of {results['workers']} workers and a queue of {results['queue']} do "
        f"at {results['factor']:g} times the rate that it can serve? Each request has a program of "
        "its own, whose output and exit code are known. The clients share the machine with it."
    )
    yield from page.head("A server under twice its load", asked, results)
    rows = {
        f"{2 * results['workers']} clients, each with one request": results["able"],
        f"{results['factor']:g} times that rate": results["busy"],
    }
    columns = ("load", "sent", "answered", "refused (503, 504)", "other errors", "without an end")
    yield from page.table(
        (*columns, "wrong answers", "median s", "99 % s"),
        ([name, *_cells(row)] for name, row in rows.items()),
    )
    resident = results["resident_mib"]
    half = resident[len(resident) // 2 :]
    one_by_one = results["one_after_the_other"]
    yield ""
    yield (
        f"Rate that it can serve: {results['rate']:.0f} a second. Resident memory of the server "
        f"under load: {resident[0]:.0f} MiB at the start, {max(resident):.0f} at most, from "
        f"{min(half):.0f} to {max(half):.0f} in the second half of {results['seconds']:g} s."
    )
    yield ""
    yield (
        "One program after the other, a trivial one: "
        f"{one_by_one['HTTPExecutor']:.0f} a second through an `HTTPExecutor`, "
        f"{one_by_one['LocalExecutor']:.0f} with a `LocalExecutor`."
    )


def _cells(row: Mapping[str, Any]) -> list[object]:
    ends = row["ends"]
    refused = ends.get("503", 0) + ends.get("504", 0)
    other = sum(ends.values()) - ends.get("200", 0) - refused
    lost = row["sent"] - sum(ends.values())
    figures = (row["sent"], ends.get("200", 0), refused, other, lost, row["wrong_count"])
    return [*figures, f"{row['median_seconds']:.2f}", f"{row['p99_seconds']:.2f}"]


def main(args: Args) -> None:
    """Runs the benchmark and writes its results."""
    results = page.environment("serving", "starlette", "uvicorn", "httpx2")
    page.write(args.results / "serving", results | measure(args), lines)


if __name__ == "__main__":
    main(tyro.cli(Args))
