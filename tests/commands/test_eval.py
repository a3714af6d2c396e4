"""`codegym eval`: programs from an endpoint or a model here, kept as they come, and graded."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from codegym.commands.writers.endpoint import Endpoint
from codegym.errors import ConfigurationError

from .toy import ADD, ECHO, WRONG, Command, Ran, rows_of


class Model(http.server.ThreadingHTTPServer):
    """An endpoint on loopback that answers what it was told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.failures: list[tuple[int, str]] = []
        self.unwilling: set[str] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Model

    def do_POST(self) -> None:  # the name that http.server asks for
        length = int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(length))
        question = body["messages"][-1]["content"]
        status, content = 200, ""
        if self.server.failures:
            status, content = self.server.failures.pop(0)
        elif any(word in question for word in self.server.unwilling):
            status, content = 503, "busy"
        else:
            self.server.asked.append(body)
            self.server.keys.append(self.headers["Authorization"])
            program = ECHO if "Echo" in question else [ADD, WRONG][body["seed"] % 2]
            message = {"role": "assistant", "content": f"```python\n{program}```"}
            content = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]})
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *_: object) -> None:
        """Tells nobody."""


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    """The endpoint; nobody waits before a request is repeated."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr("codegym.commands.writers.endpoint._PAUSES", (0.0, 0.0, 0.0))
    with Model() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def evaluate(command: Command, toy: Path, tmp_path: Path) -> Command:
    def run(*words: object) -> Ran:
        fixed = ("--source", "custom", "--data", toy, "--workers", 1, "--json")
        return command("eval", "--written", tmp_path / "w.jsonl", *fixed, *words)

    return run


SAMPLED = ("--model", "m", "--samples", 2, "--temperature", 0.5)


def test_an_endpoint_is_asked_and_its_programs_are_graded(
    model: Model, evaluate: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    ran = evaluate("--endpoint", model.url, *SAMPLED, "--k", 1, 2)
    found = ran.json()
    assert ran.status == 0
    assert found["counts"] == {
        "Toy/0": {"samples": 2, "passed": 1},
        "Toy/1": {"samples": 2, "passed": 2},
    }
    assert [rate["rate"] for rate in found["pass_at_k"]] == [0.75, 1.0]
    assert found["matched_by"] == {"id": 4}
    assert sorted(body["seed"] for body in model.asked) == [0, 0, 1, 1]
    assert {(b["model"], b["temperature"], b["max_tokens"]) for b in model.asked} == {
        ("m", 0.5, 1024)
    }
    assert set(model.keys) == {"Bearer secret"}
    assert "secret" not in (tmp_path / "w.jsonl").read_text()


def test_what_is_written_is_not_asked_for_twice(
    model: Model, evaluate: Command, tmp_path: Path
) -> None:
    words = ("--endpoint", model.url, *SAMPLED)
    assert evaluate(*words).status == 0
    written = tmp_path / "w.jsonl"
    assert evaluate(*words).status == 2, "what is there is not overwritten unasked"
    content = written.read_bytes()
    written.write_bytes(content[:-20])  # killed in the middle of the last line
    (tmp_path / "w.codegym.jsonl").unlink()
    model.asked.clear()
    other = evaluate(*words[:-1], 0.75, "--resume")
    assert other.status == 2
    assert "temperature was 0.5 and is 0.75" in other.err
    ran = evaluate(*words, "--resume")
    assert (ran.status, ran.json()["graded"], len(model.asked)) == (0, 4, 1)
    assert len(rows_of(written)) == 4


def test_a_busy_endpoint_is_asked_again_and_no_answer_is_no_verdict(
    model: Model, evaluate: Command
) -> None:
    model.failures = [(503, "busy"), (429, "slow down")]
    model.unwilling = {"Echo"}
    ran = evaluate("--endpoint", model.url, "--model", "m", "--at-once", 1)
    found = ran.json()
    assert ran.status == 1
    assert found["counts"] == {"Toy/0": {"samples": 1, "passed": 1}}
    assert [one["problem_id"] for one in found["not_written"]] == ["Toy/1"]
    assert "503" in found["not_written"][0]["reason"]
    model.unwilling = set()
    again = evaluate("--endpoint", model.url, "--model", "m", "--resume")
    assert (again.status, again.json()["graded"]) == (0, 2)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        ((404, "no model m"), "answered 404 Not Found: no model m"),
        ((401, "who?"), "$OPENAI_API_KEY"),
        ((200, "<html>"), "is no chat completion"),
        ((200, '{"choices": []}'), "is no chat completion"),
    ],
)
def test_an_endpoint_that_refuses_ends_the_command(
    failure: tuple[int, str], told: str, model: Model, evaluate: Command
) -> None:
    model.failures = [failure]
    ran = evaluate("--endpoint", model.url, "--model", "m", "--at-once", 1)
    assert ran.status == 2
    assert told in ran.err


def test_an_endpoint_that_is_not_there_is_an_error(model: Model, evaluate: Command) -> None:
    url = model.url
    model.server_close()
    ran = evaluate("--endpoint", url, *SAMPLED[:2], "--samples", 5, "--temperature", 1)
    assert ran.status == 2
    assert "cannot be reached" in ran.err


def test_where_nothing_was_written_no_file_is_left(
    model: Model, evaluate: Command, tmp_path: Path
) -> None:
    model.unwilling = {"Echo", "Add"}
    ran = evaluate("--endpoint", model.url, "--model", "m", "--limit", 1)
    assert ran.status == 2
    assert "Nothing was written for any of 1 programs" in ran.err
    assert "503" in ran.err
    assert not (tmp_path / "w.jsonl").exists()


def test_settings_without_meaning_are_refused(evaluate: Command) -> None:
    for words, told in (
        (("--samples", 2), "the same program"),
        (("--samples", 0), "samples must be"),
        (("--temperature", -1), "temperature must be"),
        (("--max-new-tokens", 0), "max_new_tokens must be"),
        (("--endpoint", "localhost:8000"), "An endpoint is an address"),
        (("--endpoint", "http://127.0.0.1:9", "--at-once", 0), "at_once must be"),
    ):
        ran = evaluate("--model", "m", *words)
        assert ran.status == 2
        assert told in ran.err


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights and a tokenizer of bytes, in a folder."""
    folder = tmp_path_factory.mktemp("model")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: i for i, letter in enumerate(["<end>", *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    made: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, eos_token="<end>"
    )
    made.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=2048,
        eos_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def test_a_model_on_this_machine_writes_and_is_graded(
    tiny: Path, evaluate: Command, tmp_path: Path
) -> None:
    words = ("--model", tiny, "--device", "cpu", "--max-new-tokens", 4)
    ran = evaluate(*words, "--samples", 2, "--temperature", 1)
    assert (ran.status, ran.json()["graded"]) == (0, 4)
    rows = rows_of(tmp_path / "w.jsonl")
    assert all(r["solution"].startswith("def add(a, b):") for r in rows if r["task_id"] == "Toy/0")
    assert len({r["solution"] for r in rows}) > 1
    assert evaluate(*words, "--overwrite").json()["graded"] == 2


def test_a_model_with_a_template_is_asked(tiny: Path, evaluate: Command, tmp_path: Path) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tiny)
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}>"
    tokenizer.save_pretrained(tmp_path / "chat")
    LlamaForCausalLM.from_pretrained(tiny).save_pretrained(tmp_path / "chat")
    ran = evaluate("--model", tmp_path / "chat", "--device", "cpu", "--max-new-tokens", 3)
    assert ran.json()["graded"] == 2
    row = rows_of(tmp_path / "w.jsonl")[0]
    assert row["problem_id"] == "Toy/0"
    assert "Add two numbers." in row["prompt"]


def test_a_model_that_is_nowhere_is_an_error(evaluate: Command, tmp_path: Path) -> None:
    ran = evaluate("--model", tmp_path / "none", "--device", "cpu")
    assert ran.status == 2
    assert "cannot be loaded" in ran.err


def test_an_endpoint_needs_an_address() -> None:
    with pytest.raises(ConfigurationError, match="8000"):
        Endpoint("file:///etc", "m", None)  # type: ignore[arg-type]
