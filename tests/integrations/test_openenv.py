"""OpenEnv's own client and task interface against the server, over loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from codegym.errors import WorkerError
from codegym.execution import FakeExecutor
from codegym.grading import Grader
from codegym.integrations.openenv import make_app
from codegym.problems import CallTest, Problem, ProblemSet
from tests.waiting import wait_until

pytest.importorskip("openenv", reason="openenv is not installed: make test-integrations")
uvicorn = pytest.importorskip("uvicorn")
httpx = pytest.importorskip("httpx")
core = pytest.importorskip("openenv.core")

PROBLEMS = ProblemSet.of(
    Problem(f"add/{n}", f"Add x and {n}.", "", (CallTest((1,), 1 + n),), entry_point="f")
    for n in range(5)
)


class Served:
    """A server in a thread, whose machine can be broken."""

    def __init__(self) -> None:
        self.broken = False
        self._real = Grader()
        grader = Grader(FakeExecutor(self._observe), cache_size=0)
        app = make_app({"train": PROBLEMS, "test": PROBLEMS[3:]}, grader=grader, reward="stepcoder")
        self._server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        wait_until(lambda: self._server.started)
        [listening] = self._server.servers
        self.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"

    def _observe(self, request: Any) -> Any:
        if self.broken:
            raise WorkerError("the machine is broken")
        return self._real._ensure_executor().submit(request).result().observations

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._real.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    server = Served()
    yield server
    server.close()


def answer(number: int) -> dict[str, str]:
    return {"answer": f"Sure.\n```python\ndef f(x):\n    return x + {number}\n```"}


def test_a_client_plays_an_episode(served: Served) -> None:
    with core.GenericEnvClient(base_url=served.url).sync() as client:
        shown = client.reset(split="test", index=1)
        assert shown.observation["problem_id"] == "add/4"
        assert "Add x and 4." in shown.observation["prompt"]
        assert (shown.done, shown.reward) == (False, None)
        judged = client.step(answer(4))
        assert (judged.done, judged.reward) == (True, 1.0)
        assert judged.observation["verdict"] == "accepted"
        assert judged.observation["reward_terms"] == {"unit_tests": 1.0}
        assert client.state()["step_count"] == 1
        client.reset(split="test", index=1)
        assert client.step(answer(5)).reward == pytest.approx(-0.3)


def test_openenvs_own_validation_passes(served: Served) -> None:
    """What `openenv validate --url` checks of a running server."""
    validation = pytest.importorskip("openenv.cli._validation")
    report = validation.validate_running_environment(served.url, 3600)
    assert report["summary"]["failed_criteria"] == []
    assert report["passed"]


def test_sessions_are_apart(served: Served) -> None:
    clients = [core.GenericEnvClient(base_url=served.url).sync() for _ in range(3)]
    try:
        for number, client in enumerate(clients):
            client.reset(split="train", index=number)
        assert [client.step(answer(1)).reward for client in clients] == [-0.3, 1.0, -0.3]
    finally:
        for client in clients:
            client.close()


def test_a_failure_of_the_machine_is_an_error_of_the_call_and_no_reward(served: Served) -> None:
    with core.GenericEnvClient(base_url=served.url).sync() as client:
        client.reset(split="train", index=2)
        served.broken = True
        try:
            with pytest.raises(RuntimeError, match="the machine is broken"):
                client.step(answer(2))
        finally:
            served.broken = False
        assert client.step(answer(2)).reward == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"split": "tran"}, "train"), ({"index": 99}, "of 5 problems"), ({"idx": 1}, "index")],
)
def test_bad_arguments_are_an_error_that_says_what_is_legal(
    served: Served, arguments: dict[str, Any], message: str
) -> None:
    with (
        core.GenericEnvClient(base_url=served.url).sync() as client,
        pytest.raises(RuntimeError, match=message),
    ):
        client.reset(**arguments)


def test_the_tasks_are_discovered_over_http(served: Served) -> None:
    with httpx.Client(base_url=served.url) as http:
        assert http.get("/codegym/splits").json() == [
            {"name": "train", "type": "train"},
            {"name": "test", "type": "test"},
        ]
        assert http.post("/codegym/num_tasks", json={"split": "train"}).json() == {"num_tasks": 5}
        listed = http.post("/codegym/tasks", json={"split": "test"}).json()["tasks"]
        assert [task["problem_id"] for task in listed] == ["add/3", "add/4"]
        asked = http.post("/codegym/task", json={"split": "test", "index": 1}).json()["task"]
        assert "Add x and 4." in asked["prompt"]
        outside = http.post("/codegym/task", json={"split": "test", "index": 2})
        assert outside.status_code == 400


def test_an_action_has_one_required_field_which_others_fill_with_a_reply(served: Served) -> None:
    """verifiers' adapter gives a model's plain reply to an action with one required field."""
    with httpx.Client(base_url=served.url) as http:
        schema = http.get("/schema").json()
        assert schema["action"]["required"] == ["answer"]
        assert http.get("/health").json()["status"] == "healthy"
