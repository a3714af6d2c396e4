"""One way to write what a benchmark found: NAME.json, a page NAME.md, and perhaps curves, NAME.png.

A page says what was asked, the command that makes it again, where it ran, and what came of it. It
is a function of what is in the JSON file.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

__all__ = [
    "RESULTS",
    "Bar",
    "bars",
    "environment",
    "going_on",
    "head",
    "interval",
    "set_up",
    "table",
    "write",
]

RESULTS = Path("benchmarks/results")
"""Where the committed results are, from the root of the repository."""
_STARTED = time.monotonic()


class Bar(NamedTuple):
    """A figure that a benchmark should reach.

    Attributes:
        what: What is asked, with the number.
        reached: What was measured, or why it was not.
        met: Whether the estimate reaches the bar; None where that is not known or not asked.
        sure: Whether the whole 95 % interval does; None where there is none.
    """

    what: str
    reached: str
    met: bool | None
    sure: bool | None = None


def environment(name: str, *packages: str) -> dict[str, Any]:
    """The command that runs, and what its figures depend on; called when the benchmark begins.

    Args:
        name: The benchmark's module. An argument that is an absolute path becomes FOLDER.
        packages: Whose versions matter; those that are not installed are left out.
    """
    words = ["FOLDER" if os.path.isabs(each) else each for each in sys.argv[1:]]
    info = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    return {
        "command": f"python -m benchmarks.{name} {shlex.join(words)}".rstrip(),
        "machine": {
            "python": platform.python_version(),
            "kernel": platform.release(),
            "cpu": models[0] if models else platform.machine(),
            "cpus": len(os.sched_getaffinity(0)),
            "load_at_start": os.getloadavg()[0],
            **{p: importlib.metadata.version(p) for p in packages if importlib.util.find_spec(p)},
        },
    }


def going_on(results: dict[str, Any], before: Mapping[str, Any]) -> None:
    """Lets the page tell the commands and minutes of earlier calls as well.

    Args:
        results: Of this call, with what :func:`environment` said.
        before: What earlier calls left; empty if there was none.
    """
    commands = [*before.get("commands_before", ()), before.get("command", results["command"])]
    results["commands_before"] = [
        each for each in dict.fromkeys(commands) if each != results["command"]
    ]
    results["minutes_before"] = before.get("minutes", 0.0)


def write(
    out: Path,
    results: dict[str, Any],
    page: Callable[[dict[str, Any]], Iterable[str]],
    draw: Callable[[dict[str, Any]], Figure | None] | None = None,
    *,
    quiet: bool = False,
    indent: int | None = 1,
) -> None:
    """Writes the files of a benchmark and prints the page.

    Args:
        out: Their path without suffix.
        results: What was found, with what :func:`environment` said at the start; the load and the
            minutes at the end are added, to those of earlier calls (:func:`going_on`). Arguments
            that are absolute paths become FOLDER.
        page: The lines of the page.
        draw: Makes the picture, or None if there is nothing to draw yet.
        quiet: Print nothing.
        indent: Of the JSON file; None where it has long curves.
    """
    results["machine"]["load_at_end"] = os.getloadavg()[0]
    spent = (time.monotonic() - _STARTED) / 60
    results["minutes"] = results.get("minutes_before", 0.0) + spent
    if "arguments" in results:
        results["arguments"] = {
            name: "FOLDER" if isinstance(value, str | Path) and os.path.isabs(value) else value
            for name, value in results["arguments"].items()
        }
    out.parent.mkdir(parents=True, exist_ok=True)
    # Renamed when it is whole: earlier rows may be in it, and the process may die at any moment.
    draft = out.with_suffix(".json.draft")
    draft.write_text(json.dumps(results, indent=indent, default=str) + "\n")
    draft.rename(out.with_suffix(".json"))
    text = "\n".join(page(results)) + "\n"
    out.with_suffix(".md").write_text(text)
    figure = draw(results) if draw else None
    if figure is not None:
        figure.savefig(out.with_suffix(".png"), dpi=110, bbox_inches="tight")
        plt.close(figure)
    if not quiet:
        print("\n" + text)


def head(title: str, asked: str, results: Mapping[str, Any]) -> list[str]:
    """How every page begins: heading, what was asked, command, machine."""
    about = dict(results["machine"])
    ran = [f"{minutes:.1f} minutes"] if (minutes := results.get("minutes")) else []
    words = {"cpu": "{}", "cpus": "{} CPUs", "python": "Python {}", "kernel": "Linux {}"}
    ran += [text.format(about.pop(key)) for key, text in words.items() if key in about]
    loads = [about.pop(key) for key in ("load_at_start", "load_at_end") if key in about]
    ran += [f"{name} {version}" for name, version in about.items()]
    if loads:
        ran.append("load " + " at the start and ".join(f"{load:.1f}" for load in loads))
        ran[-1] += " at the end" if len(loads) > 1 else " at the start"
    where = f": {', '.join(ran)}" if ran else ""
    commands = (*results.get("commands_before", ()), results["command"])
    said = ", then ".join(f"`{command}`" for command in commands)
    return [f"# {title}", "", asked, "", f"{said}{where}.", ""]


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The lines of a table; a bar in a cell is escaped."""
    for number, row in enumerate((columns, *rows)):
        yield f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |"
        if number == 0:
            yield "|---" * len(columns) + "|"


def set_up(said: Mapping[str, str]) -> Iterator[str]:
    """The set-up of an experiment as a table below a heading: what, and what it was."""
    yield from ("## Set-up", "", *table(("", "set-up"), said.items()), "")


def interval(value: Sequence[float] | None, digits: int = 1) -> str:
    """An estimate and the ends of its interval as a cell; a dash if there is none."""
    if value is None:
        return "-"
    middle, low, high = (f"{each:.{digits}f}" for each in value)
    return f"{middle} ({low} to {high})"


def bars(found: Iterable[Bar], reached: str = "reached (95 % interval)") -> Iterator[str]:
    """The table of the bars; `reached` is the heading of what was measured."""
    yield from table(
        ("bar", reached, "met"),
        ((bar.what, bar.reached, _met(bar.met, bar.sure)) for bar in found),
    )


def _met(met: bool | None, sure: bool | None) -> str:
    if met is None:
        return ""
    unsure = sure is not None and sure != met
    return ("yes" if met else "**no**") + (", interval reaches past the bar" * unsure)
