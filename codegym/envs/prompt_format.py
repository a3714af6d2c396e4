"""What the model is shown of a problem, and which part of it already belongs to the program."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from codegym.errors import ConfigurationError, TokenizationError, UnknownNameError
from codegym.problems.problem import Problem, StdinTest
from codegym.programs.answer import begun_reasoning
from codegym.tokenization.hugging_face import HuggingFaceTokenizer
from codegym.tokenization.registry import make_tokenizer
from codegym.tokenization.tokenizer import Tokenizer, shown_ids

__all__ = [
    "AnswerFormat",
    "AutoFormat",
    "ChatFormat",
    "CompletionFormat",
    "InstructionFormat",
    "ProgramInAnswer",
    "Prompt",
    "PromptFormat",
    "make_prompt_format",
    "prompt_tokens",
]


@dataclasses.dataclass(frozen=True, slots=True)
class ProgramInAnswer:
    """Says that what is written is an answer, in which the program is still to be found.

    How that is done is said in :mod:`codegym.programs.answer`. An answer without a program is a
    compile error on every test.

    Attributes:
        begun: What the prompt has written of the answer: empty, or an opening tag of reasoning.
        outside: 0 or 1, what the loss mask gets on tokens of prose, reasoning and fences. They
            were not executed and yet decided which program there is; with 0 they are not learned.

    Raises:
        ConfigurationError: If one of them is no such thing.
    """

    begun: str = ""
    outside: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.begun, str):
            raise ConfigurationError(f"begun must be a str, got {type(self.begun).__name__}.")
        if isinstance(self.outside, bool) or self.outside not in (0, 1):
            raise ConfigurationError(
                "outside is what tokens around the program get in the loss mask, 0 (not learned) "
                f"or 1 (learned), got {self.outside!r:.80}."
            )


@dataclasses.dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered problem: ``text`` then ``header``, then whatever is written.

    Attributes:
        text: Instruction; not part of the program.
        header: Opening part of the program that the prompt shows. The judged program is header +
            given code + generated code. A canonical solution begins with it.
        stop: Texts that end an episode when they are generated. The program ends before them.
        ids: Token ids of `text`, where text cannot say it (chat templates hold special tokens).
        answer: Where the program has to be found in what is written; None where what is written
            is the program. Such a prompt has neither header nor stop.

    Raises:
        ConfigurationError: If it has an `answer` and a header, or an `answer` and stop sequences.
    """

    text: str
    header: str = ""
    stop: tuple[str, ...] = ()
    ids: tuple[int, ...] | None = None
    answer: ProgramInAnswer | None = None

    def __post_init__(self) -> None:
        if self.answer is not None and (self.header or self.stop):
            raise ConfigurationError(
                "A prompt whose program is found in an answer has neither header nor stop: the "
                "answer is whole, and ends with its end token."
            )


@runtime_checkable
class PromptFormat(Protocol):
    """Renders problems. Pure: the same problem always gives the same prompt."""

    def render(self, problem: Problem) -> Prompt:
        """What the model is shown of `problem`."""
        ...


def prompt_tokens(prompt: Prompt, tokenizer: Tokenizer) -> list[int]:
    """The tokens of a prompt: of its text, which is only shown, and of its header.

    Raises:
        TokenizationError: If the tokenizer cannot spell the header, which is a part of the
            program, to the byte.
    """
    if prompt.ids is not None:
        return [*prompt.ids, *tokenizer.encode(prompt.header)]
    try:
        return tokenizer.encode(prompt.text + prompt.header)
    except TokenizationError:
        return [*shown_ids(tokenizer, prompt.text), *tokenizer.encode(prompt.header)]


@dataclasses.dataclass(frozen=True, slots=True)
class CompletionFormat:
    """The model continues the starter code, as a base model does.

    The description comes first, as comments, unless the starter code tells it already (HumanEval,
    Mini). The starter code is a header only where the canonical solution begins with it; elsewhere
    it is shown as part of the comments, and the whole program is to be written. A last comment
    names the function to write where neither description nor starter code does.

    Attributes:
        stop: Texts that end the program.
    """

    stop: tuple[str, ...] = ()

    def render(self, problem: Problem) -> Prompt:
        """The description as comments, and the starter code as header."""
        starter = problem.starter_code
        is_header = bool(starter) and problem.canonical_solution.startswith(starter)
        told = [line.strip(" #") for line in starter.splitlines()]
        lines = [line.strip() for line in problem.description.splitlines()]
        untold = any(line.strip(" #") not in told for line in lines if line)
        comment = [*lines] if untold else []
        if starter and not is_header:
            comment += ["Begin with:", *starter.splitlines()]
        if wanted := _untold_name(problem):
            comment.append(wanted)
        text = "".join(f"# {line}".rstrip() + "\n" for line in comment)
        return Prompt(text, starter if is_header else "", self.stop)


@dataclasses.dataclass(frozen=True, slots=True)
class InstructionFormat:
    """The question-and-answer prompt of APPS (arXiv 2105.09938); the whole program is written.

    Attributes:
        stop: Texts that end the program.
    """

    stop: tuple[str, ...] = ()

    def render(self, problem: Problem) -> Prompt:
        """Question, starter code, what is called, the way of input and output, and `ANSWER:`.

        The function to write is named where neither description nor starter code does.
        """
        reads = isinstance(problem.tests[0], StdinTest)
        way = "Standard Input" if reads else "Call-Based"
        starter = f"\n{problem.starter_code.strip()}\n" if problem.starter_code.strip() else ""
        wanted = _untold_name(problem)
        named = f"\n{wanted}\n" if wanted else ""
        question = f"\nQUESTION:\n{problem.description.strip()}\n{starter}{named}"
        return Prompt(f"{question}\nUse {way} format\n\nANSWER:\n", stop=self.stop)


def _untold_name(problem: Problem) -> str:
    """A sentence that names the problem's entry point; empty where the problem does so itself."""
    if problem.entry_point is None:
        return ""
    owner, is_method, name = problem.entry_point.rpartition("().")
    names = (owner, name) if is_method else (name,)
    if all(_names(problem, one) for one in names):
        return ""
    if is_method:
        return f"Write a class `{owner}` with a method `{name}`."
    kind = _definition_of(name, problem.canonical_solution)
    return f"Write a {kind} `{name}`."


def _names(problem: Problem, name: str) -> bool:
    """Whether starter code or description names a function or class.

    In starter code every word is code. In a description a word may be plain English ("double each
    item" names no function), unless it is spelled as only code is (``snake_case``, ``camelCase``),
    called, quoted, or introduced.
    """
    if re.search(rf"\b{name}\b", problem.starter_code):
        return True
    if _SPELLED_AS_CODE.search(name):
        return re.search(rf"\b{name}\b", problem.description) is not None
    called, quoted = rf"\b{name}\(", rf"([`'\"]){name}(\(.*?\))?\1"
    introduced = rf"\b(def|class|function|method|named|called) {name}\b"
    return re.search(f"{called}|{quoted}|{introduced}", problem.description) is not None


_SPELLED_AS_CODE = re.compile(r"_|\d|[a-z][A-Z]")


def _definition_of(name: str, program: str) -> str:
    return "class" if re.search(rf"^class {name}\b", program, flags=re.M) else "function"


CHAT_STOP = "\n```"
"""Closes the fence that a chat prompt opens."""


@dataclasses.dataclass(frozen=True, slots=True)
class ChatFormat:
    """The problem as a user message of a chat model; the program is written in a code fence.

    Attributes:
        tokenizer: A Hugging Face tokenizer with a chat template, wrapped or not.
        system: A system message, or empty.
    """

    tokenizer: Any
    system: str = ""

    def render(self, problem: Problem) -> Prompt:
        """The template's tokens, with the fence of the answer opened.

        Raises:
            ConfigurationError: If the tokenizer has no chat template, or it refuses the message.
        """
        text, ids = _template(self.tokenizer, self.messages(problem), then="```python\n")
        return Prompt(text, stop=(CHAT_STOP,), ids=ids)

    def messages(self, problem: Problem) -> list[dict[str, str]]:
        """The chat up to the answer: the system message, if there is one, and the user's."""
        return _messages(problem, self.system)


@dataclasses.dataclass(frozen=True, slots=True)
class AnswerFormat:
    """The problem as a user message of a chat model, which answers as it likes.

    The model may reason and explain; the program is found in its answer by the rules of
    :mod:`codegym.programs.answer`. An episode ends with an end token. Start states need a program
    that is already begun, so every episode begins with the prompt, and the `prefix` of
    ``reset(options=...)`` is the beginning of the answer, whatever that is. Process rewards, which
    pay for lines of a program, are not for answers.

    Attributes:
        tokenizer: A Hugging Face tokenizer with a chat template, wrapped or not.
        system: A system message, or empty.
        outside: 0 or 1, what the loss mask gets on prose, reasoning and fences.
    """

    tokenizer: Any
    system: str = ""
    outside: int = 1

    def render(self, problem: Problem) -> Prompt:
        """The template's tokens. If they end with an opening tag of reasoning, it is begun.

        Raises:
            ConfigurationError: If the tokenizer has no chat template, or it refuses the message,
                or `outside` is no such value.
        """
        text, ids = _template(self.tokenizer, self.messages(problem))
        return Prompt(text, ids=ids, answer=ProgramInAnswer(begun_reasoning(text), self.outside))

    def messages(self, problem: Problem) -> list[dict[str, str]]:
        """The chat up to the answer: the system message, if there is one, and the user's."""
        return _messages(problem, self.system)


def _messages(problem: Problem, system: str) -> list[dict[str, str]]:
    question = InstructionFormat().render(problem).text.removesuffix("\n\nANSWER:\n")
    task = f"{question.strip()}\n\nAnswer with one Python program in a ```python fence."
    first = [{"role": "system", "content": system}] if system else []
    return [*first, {"role": "user", "content": task}]


def _template(
    tokenizer: Any, messages: list[dict[str, str]], then: str = ""
) -> tuple[str, tuple[int, ...]]:
    """A chat as its template writes it, and `then` at the beginning of the answer; its tokens."""
    tokenizer = _with_template(tokenizer)
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except Exception as error:  # a template is code of others, and raises what it likes
        roles = " and ".join(message["role"] for message in messages)
        raise ConfigurationError(
            f"The chat template of the tokenizer cannot render a conversation of {roles}: "
            f'{error}. Use another tokenizer, or prompt_format="instruction".'
        ) from error
    text += then
    return text, tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def _with_template(tokenizer: Any) -> Any:
    """The object of ``transformers`` that has the chat template."""
    if isinstance(tokenizer, HuggingFaceTokenizer):
        tokenizer = tokenizer.transformers_tokenizer
    if not getattr(tokenizer, "chat_template", None):
        raise ConfigurationError(
            'prompt_format="chat" or "answer" needs a Hugging Face tokenizer with a chat template, '
            f"got {type(tokenizer).__name__} without one. Use the tokenizer of an "
            'instruction-tuned model, or prompt_format="instruction".'
        )
    return tokenizer


@dataclasses.dataclass(frozen=True, slots=True)
class AutoFormat:
    """Completion where the canonical solution begins with the starter code, else instruction.

    HumanEval's programs end where the function does, at the next unindented statement, as in its
    own harness; Mini's at the end token.
    """

    def render(self, problem: Problem) -> Prompt:
        """The prompt in the format of the problem's source."""
        starter = problem.starter_code
        if starter and problem.canonical_solution.startswith(starter):
            stop = HUMANEVAL_STOP if problem.source == "humaneval" else ()
            return CompletionFormat(stop).render(problem)
        return InstructionFormat().render(problem)


HUMANEVAL_STOP = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
"""The stop sequences of HumanEval's paper (arXiv 2107.03374, section 2.1)."""

_NAMES: Sequence[str] = ("auto", "completion", "instruction", "chat", "answer")


def make_prompt_format(spec: str | PromptFormat = "auto", tokenizer: Any = None) -> PromptFormat:
    """The format of a name, or the one handed in.

    Args:
        spec: ``"auto"``, ``"completion"``, ``"instruction"``, ``"chat"``, ``"answer"``, or an
            object with a method ``render(problem) -> Prompt``.
        tokenizer: Whose template ``"chat"`` and ``"answer"`` use: ``"hf:<name or path>"``, a
            tokenizer object of ``transformers``, or codegym's wrapper of one.

    Raises:
        UnknownNameError: If the name is not one of these.
        ConfigurationError: If it is neither a name nor a :class:`PromptFormat`, or ``"chat"``
            or ``"answer"`` without a chat template.
    """
    if isinstance(spec, str):
        if spec not in _NAMES:
            raise UnknownNameError("prompt format", spec, _NAMES)
        if spec in ("chat", "answer"):
            named = isinstance(tokenizer, str)
            template = _with_template(make_tokenizer(tokenizer) if named else tokenizer)
            return ChatFormat(template) if spec == "chat" else AnswerFormat(template)
        formats: dict[str, PromptFormat] = {
            "auto": AutoFormat(),
            "completion": CompletionFormat(),
            "instruction": InstructionFormat(),
        }
        return formats[spec]
    if isinstance(spec, PromptFormat):
        return spec
    raise ConfigurationError(
        f"prompt_format must be one of {', '.join(map(repr, _NAMES))} or an object with "
        f"render(problem), got {type(spec).__name__}."
    )
