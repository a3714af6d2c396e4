"""The results of a soak: passed or failed, a page, and curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray

from benchmarks import footprint


def passed(found: dict[str, Any]) -> bool:
    """Whether nothing grew and no grade changed."""
    grown = [one["name"] for one in found["growth"] if one["verdict"] in ("fail", "too wide")]
    return not grown and not found["changes"] and found["host_untouched"]


def page(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    about, settings = found["machine"], found["settings"]
    limits, large = found["limits"]["hostile"], found["large"]
    kinds = ", ".join(f"{count} {kind}" for kind, count in found["programs"].items())
    lines = [
        "# Soak of a long-lived pool",
        "",
        f"`{found['command']}`, {found['minutes']:.1f} minutes; Python {about['python']}, "
        f"{about['cpu']}, {about['cpus']} CPUs, load {about['load_at_start']:.1f} at the start "
        f"and {about['load_at_end']:.1f} at the end.",
        "",
        f"**{'Passed' if passed(found) else 'Failed'}.** {settings['grades']} grades, "
        f"{found['hostile_grades']} of them hostile, {found['grades_a_second']:.0f} a second, "
        f"through one pool of {settings['workers']} workers. {len(found['changes'])} grades "
        "differed from the first one of the same program (verdict, tests passed, type of the "
        f"error). {found['workers_replaced']} workers had to be replaced; at most "
        f"{found['most_processes_while_busy']} processes were seen below the parent. The host's "
        f"folder was {'left alone' if found['host_untouched'] else 'CHANGED'}.",
        "",
        f"Programs by kind: {kinds}. Limits of hostile programs: {limits['cpu_seconds']:g} s of "
        f"CPU time, {limits['wall_seconds']:g} s on the clock, {limits['memory_bytes'] >> 20} MiB.",
        "",
        f"Samples are taken at rest, after every {settings['every']} grades. Growth: least "
        f"squares over the second half of them, with 95 % intervals. Memory passes if the upper "
        f"end is at most {settings['most']:g} KiB; a count if no later sample is above the "
        "largest of the first half.",
        "",
        "![curves](soak.png)",
        "",
        "| | largest, first half | last | growth in 1,000 grades | |",
        "|---|---|---|---|---|",
    ]
    for one in found["growth"]:
        unit = " KiB" if one["name"] in footprint.MEMORY else ""
        slope = f"{one['slope']:+.2f} ({one['low']:+.2f} to {one['high']:+.2f}){unit}"
        ends = f"{one['first']:.0f}{unit} | {one['last']:.0f}{unit}"
        lines.append(f"| {one['name']} | {ends} | {slope} | {one['verdict']} |")
    private = [footprint.NAMES.index(f"{whose} private") for whose in ("parent", "workers")]
    told = [
        " and ".join(f"{sample[index] / footprint.KIB:.0f}" for index in private)
        for sample in found["around_large"]
    ]
    lines += [
        "",
        f"Programs of more than {large['least'] >> 20} MiB, {large['times']} times each, "
        f"afterwards: {'; '.join(large['programs']) or 'none'}. Private memory of parent and "
        f"workers in MiB: {told[0]} before, {told[1]} right after them, "
        f"{told[2]} after small programs again.",
    ]
    lines += ["", f"Changed grades: {len(found['changes'])}", *([""] if found["changes"] else [])]
    lines += [
        f"- grade {c['grade']}, {c['program']}: {c['first']}, then {c['now']}"
        for c in found["changes"]
    ]
    lines += ["", f"Left out beforehand: {len(found['left_out'])}", ""]
    reasons: dict[str, list[str]] = {}
    for name, reason in found["left_out"].items():
        reasons.setdefault(reason, []).append(name)
    lines += [f"- {reason}: {'; '.join(names)}" for reason, names in reasons.items()]
    return "\n".join(lines) + "\n"


def draw(found: dict[str, Any], path: Path) -> None:
    """The curves: memory as its change since the first sample, and counts."""
    grades: NDArray[np.float64] = np.asarray(found["grades"])
    samples: NDArray[np.float64] = np.asarray(found["samples"])
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 8), sharex=True)
    for index, name in enumerate(footprint.NAMES):
        values = samples[:, index]
        if name in footprint.MEMORY:
            label = f"{name} ({values[0] / footprint.KIB:.0f} MiB at first)"
            above.plot(grades, (values - values[0]) / footprint.KIB, label=label, linewidth=1.2)
        else:
            # Dashes of their own: several counts are equal.
            dashes = (index, (3, 2 + index % 4))
            below.plot(grades, values, label=name, linewidth=1.6, linestyle=dashes)
    above.set_ylabel("change, MiB")
    below.set_ylabel("count")
    below.set_xlabel("grades")
    for axes in (above, below):
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, frameon=False)
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120, bbox_inches="tight")
