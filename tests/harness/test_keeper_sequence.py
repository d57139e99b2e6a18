"""A safe sequence proves what it says: whatever an instrument answers, nothing is safe without proof."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.errors import InstrumentError
from hil.safety.plan import SafeStepPlan
from hil.safety.sequence import run_sequence
from hil.units import ms

READ = SafeStepPlan(write="OFF", query="OUTP?", expect="0", within_ms=10)
MEASURE = SafeStepPlan(query="MEAS?", below_v=1.0, within_ms=10)

Answer = str | None | InstrumentError
answers = st.one_of(
    st.none(),
    st.text(max_size=20),
    st.floats().map(str),
    st.lists(st.floats(), max_size=4).map(lambda values: ",".join(map(str, values))),
    st.sampled_from(["0", " 0\r", "1", "+9.91E+37", "0_0", "0,0,", "nan", "-inf", "0.5,", "٠"]),
    st.builds(InstrumentError, st.just("lost")),
)


class Scripted:
    """A line that answers what the script says, one answer a millisecond."""

    def __init__(self, script: list[Answer], *, deaf: bool = False) -> None:
        self.now_ns = 0
        self.sent: list[str] = []
        self._script = script
        self._deaf = deaf

    def now(self) -> int:
        return self.now_ns

    def send(self, text: str) -> None:
        self.sent.append(text)
        if self._deaf:
            raise InstrumentError("not sent")

    def ask(self, text: str, within_ns: int) -> str | None:
        self.sent.append(text)
        found = self._script.pop(0) if self._script else None
        self.now_ns += within_ns if found is None else 1 * ms
        if isinstance(found, InstrumentError):
            raise found
        return found


def is_proof(answer: Answer) -> bool:
    """Written anew: what a person would take for a proof of less than 1 V."""
    if not isinstance(answer, str) or not answer.isascii() or "_" in answer:
        return False
    try:
        values = [float(part) for part in answer.split(",")]
    except ValueError:
        return False
    return all(math.isfinite(value) and abs(value) < 1.0 for value in values)


@given(st.lists(answers, max_size=6))
def test_nothing_is_measured_safe_without_numbers_below_the_limit(script: list[Answer]) -> None:
    line = Scripted(list(script))
    (result,) = run_sequence([MEASURE], line, line.now)
    assert (result.proved_ns is not None) == (result.trouble == "")
    if not result.trouble:
        assert is_proof(result.answer)


@given(st.lists(answers, max_size=6))
def test_nothing_is_read_back_safe_but_by_the_answer_itself(script: list[Answer]) -> None:
    line = Scripted(list(script))
    (result,) = run_sequence([READ], line, line.now)
    assert (not result.trouble) == (result.proved_ns is not None and result.answer.strip() == "0")


@given(st.lists(answers, max_size=6))
def test_what_could_not_be_sent_is_not_proved_by_what_reads_back(script: list[Answer]) -> None:
    line = Scripted(list(script), deaf=True)
    (result,) = run_sequence([READ], line, line.now)
    assert result.trouble
    assert result.proved_ns is None


@given(st.lists(st.lists(answers, max_size=3), min_size=1, max_size=4))
def test_every_step_is_run_whatever_came_of_the_one_before(scripts: list[list[Answer]]) -> None:
    steps = [SafeStepPlan(write=f"OFF {number}") for number in range(len(scripts))]
    line = Scripted([answer for script in scripts for answer in script])
    results = run_sequence([each for step in steps for each in (step, READ)], line, line.now)
    assert len(results) == 2 * len(steps)
    assert [text for text in line.sent if text.startswith("OFF ")] == [step.write for step in steps]


def test_it_asks_again_until_the_output_has_discharged() -> None:
    line = Scripted(["12.0", "3.0", "0.2"])
    (result,) = run_sequence([MEASURE], line, line.now)
    assert (result.trouble, result.proved_ns, result.answer) == ("", 3 * ms, "0.2")


@pytest.mark.parametrize("script", [[None], [], ["12.0"] * 100])
def test_a_step_ends_when_its_time_is_over(script: list[Answer]) -> None:
    line = Scripted(script)
    (result,) = run_sequence([MEASURE], line, line.now)
    assert "every value below 1 V within 10 ms" in result.trouble
    assert line.now_ns <= 11 * ms
