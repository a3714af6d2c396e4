"""`codegym doctor` and `codegym envs`: what is said of this machine and of the data on it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from codegym.commands.surroundings import look_around
from codegym.errors import IsolationError
from codegym.execution import LocalExecutor, describe_isolation
from codegym.registration import ENVIRONMENTS

from .toy import Command


def test_the_doctor_says_what_is_enforced_and_grades_a_program(command: Command) -> None:
    ran = command("doctor", "--json")
    found, isolation = ran.json(), describe_isolation()
    assert found["isolation"]["files"] == isolation.files
    assert found["strict"] == (not isolation.missing)
    assert ran.status == (1 if isolation.missing else 0)
    assert found["verdict"] == "accepted"
    assert found["surroundings"]["cpus"] == len(os.sched_getaffinity(0))
    assert str(isolation) in command("doctor").out


@pytest.mark.parametrize(("platform", "name"), [("darwin", "macOS"), ("win32", "Windows")])
def test_other_systems_get_a_clear_error(
    platform: str, name: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    ran = command("doctor")
    assert ran.status == 2
    assert f"this is {name}. Use Linux" in ran.err
    with pytest.raises(IsolationError, match="WSL 2"):
        LocalExecutor()


def test_a_container_a_job_and_limits_are_seen(tmp_path: Path) -> None:
    (tmp_path / ".dockerenv").touch()
    group = tmp_path / "sys" / "fs" / "cgroup"
    group.mkdir(parents=True)
    (group / "cpu.max").write_text("50000 100000\n")
    (group / "memory.max").write_text(f"{2**31}\n")
    around = look_around(tmp_path, {"SLURM_JOB_ID": "17"})
    assert (around.container, around.slurm_job, around.wsl) == ("Docker", "17", None)
    assert (around.cpu_quota, around.memory_limit) == (0.5, 2**31)
    told = " ".join(around.notes)
    assert "no user namespaces" in told
    assert "Slurm" in told
    assert "--workers 1" in told
    able = look_around(tmp_path, {}, namespaces=True)
    assert "no user namespaces" not in " ".join(able.notes)


def test_nothing_is_seen_where_nothing_is(tmp_path: Path) -> None:
    around = look_around(tmp_path, {})
    assert (around.container, around.wsl, around.slurm_job, around.cpu_quota) == (None,) * 4
    assert (around.memory_limit, around.notes) == (None, ())


@pytest.mark.parametrize(
    ("version", "number"),
    [
        ("Linux version 6.6.87.2-microsoft-standard-WSL2 (root@x)", 2),
        ("Linux version 4.4.0-19041-Microsoft (Microsoft@Microsoft.com)", 1),
        ("Linux version 6.8.0-45-generic (buildd@lcy02)", None),
    ],
)
def test_wsl_is_told_by_the_kernel(tmp_path: Path, version: str, number: int | None) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "version").write_text(version)
    around = look_around(tmp_path, {})
    assert around.wsl == number
    assert len(around.notes) == (number is not None)


def test_version_1_of_control_groups_has_limits_too(tmp_path: Path) -> None:
    group = tmp_path / "sys" / "fs" / "cgroup"
    (group / "cpu").mkdir(parents=True)
    (group / "memory").mkdir()
    (group / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (group / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    (group / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    around = look_around(tmp_path, {})
    assert (around.cpu_quota, around.memory_limit) == (None, None)


@pytest.fixture
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without data; its cache is here."""
    monkeypatch.delenv("CODEGYM_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "codegym"


def test_envs_are_listed_without_the_network(no_data: Path, command: Command) -> None:
    ran = command("envs", "--json")
    found = {e["id"]: e for e in ran.json()["environments"]}
    assert (ran.status, list(found)) == (0, list(ENVIRONMENTS))
    assert found["CodeGen-Mini-v0"]["kind"] == "generated"
    assert found["CodeGen-APPSPlus-v0"]["has_sample"]
    (file,) = found["CodeGen-HumanEval-v0"]["files"]
    assert file["path"] is None
    assert f"-o '{no_data}/HumanEval.jsonl.gz'" in file["command"]
    assert not no_data.exists()


def test_envs_say_where_a_file_is_and_that_one_is_damaged(no_data: Path, command: Command) -> None:
    no_data.mkdir()
    path = no_data / "HumanEval.jsonl.gz"
    path.write_bytes(b"rows")
    found = {e["id"]: e for e in command("envs", "--json").json()["environments"]}
    assert found["CodeGen-HumanEval-v0"]["files"][0]["path"] == str(path)
    (no_data / "HumanEval.jsonl.gz.sha256").write_text("0" * 64 + "\n")
    ran = command("envs")
    assert ran.status == 1
    assert "SHA-256 differs" in " ".join(ran.out.replace("│", " ").split())
