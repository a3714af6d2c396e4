"""The wheel and the sdist hold what they should, and play an episode where there is no checkout."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EPISODE = """
import gymnasium
import codegym
env = gymnasium.make("CodeGen-Mini-v0", size=3)
obs, info = env.reset(seed=0)
problem = env.unwrapped.problems.by_id(info["problem_id"])
rest = env.unwrapped.task.reference(problem).rest
for token in [*env.unwrapped.tokenizer.encode(rest), env.unwrapped.tokenizer.end_id]:
    obs, reward, terminated, truncated, info = env.step(token)
env.close()
sample = codegym.load_problems("apps_plus", data="sample")
print(codegym.__file__, info["verdict"], len(sample) > 0, sep="\\n")
"""

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None,
    reason="hatchling, the build backend, is not installed: pip install -e '.[dev]'",
)


def run(*command: str, cwd: Path) -> str:
    """Runs a command that sees neither the checkout nor a package index, and returns its output."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment |= {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel and the sdist of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    code = (
        "import sys; from hatchling import build;"
        "print(build.build_wheel(sys.argv[1])); print(build.build_sdist(sys.argv[1]))"
    )
    wheel, sdist = run(sys.executable, "-c", code, str(folder), cwd=ROOT).split()[-2:]
    return {"wheel": folder / wheel, "sdist": folder / sdist}


def test_the_wheel_holds_the_package_and_nothing_else(archives: dict[str, Path]) -> None:
    with zipfile.ZipFile(archives["wheel"]) as wheel:
        names = set(wheel.namelist())
    assert {name.split("/")[0].split("-")[0] for name in names} == {"codegym"}
    files = subprocess.run(
        ["git", "ls-files", "codegym"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    assert set(files) <= names
    assert not [name for name in names if "__pycache__" in name]


def test_the_sdist_holds_what_the_checks_need(archives: dict[str, Path]) -> None:
    with tarfile.open(archives["sdist"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    needed = [
        "Makefile",
        "SECURITY.md",
        "examples/own_agent.py",
        "docs/conf.py",
        "tests/conftest.py",
    ]
    assert set(needed) <= names
    assert not [name for name in names if name.startswith(("docs/_build", "docs/api", "runs"))]


def test_the_wheel_plays_an_episode_outside_of_the_checkout(
    archives: dict[str, Path], tmp_path: Path
) -> None:
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    site = Path(
        run(
            str(python), "-c", "import site; print(site.getsitepackages()[0])", cwd=tmp_path
        ).strip()
    )
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    run(*pip, "--target", str(site), str(archives["wheel"]), cwd=tmp_path)
    # Dependencies are those of this environment; its own codegym is found later than the wheel's.
    folders = [folder for folder in sys.path if Path(folder).name == "site-packages"]
    (site / "dependencies.pth").write_text("\n".join(folders))
    where, verdict, sample = run(str(python), "-c", EPISODE, cwd=tmp_path).split()
    assert Path(where).is_relative_to(site)
    assert (verdict, sample) == ("accepted", "True")
