"""The waveform memory of a simulated N5182B: segments, marker files and sequences, and what is in their samples.

What takes time is done when a waveform is stored, where nobody waits for it, and not when it is switched on.
"""

from __future__ import annotations

import hashlib
import math
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from hil.realtime import same_class
from hil.visa import iq
from hil.visa.keysight_n5182b import REPEATS_MAX, SAMPLES_MIN, STEPS_MAX
from hil.visa.scpi.arguments import Rest
from hil.visa.scpi.errors import ScpiError
from hil.visa.scpi.parameters import Block, Integer, Text
from hil.visa.scpi.tree import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from hil.visa.scpi.engine import Engine
    from hil.visa.scpi.parser import Token

_NAME = re.compile(r"(WFM1|MKR1|SEQ1?):([A-Za-z0-9_.$&#+-]{1,23})\Z", re.IGNORECASE)
_MARKERS = re.compile(r"NONE|ALL|0|(?:M[1-4]){1,4}", re.IGNORECASE)
_BYTES_A_SAMPLE = 4
_TONE_STEP_HZ = 0.01  # what is found in samples is rounded to this [Hz], the same on every machine
_DEVIATION_STEP_HZ = 0.1
_OFFSET_MIN_HZ = 0.5  # an offset of the carrier below this is arithmetic [Hz]


class Step(NamedTuple):
    """One step of a sequence, as it is played."""

    name: str
    samples: int
    repeats: int
    marker_edges: tuple[tuple[int, bool], ...]
    """(sample, level) at which marker 1 changes, within one repeat."""


class Signal(NamedTuple):
    """What the samples of a step are on the carrier."""

    offset_hz: float
    amplitude: float
    tones: tuple[tuple[float, float], ...]


_Key: TypeAlias = "tuple[bytes, float, int]"  # hash of the samples, sample rate [Hz], how often they are repeated


class Memory:
    """Waveform memory of one generator.

    Args:
        engine: the generator's message exchange, which gets the commands of the memory.
    """

    def __init__(self, engine: Engine) -> None:
        self._waveforms: dict[str, bytes] = {}
        self._markers: dict[str, bytes] = {}
        self._digests: dict[str, bytes] = {}
        self._edges: dict[str, tuple[tuple[int, bool], ...]] = {}
        self._sequences: dict[str, list[tuple[str, int, bool]]] = {}
        self._signals: dict[tuple[bytes, float, int], Signal] = {}
        for root in ("MEMory", "MMEMory"):
            engine.tree.add(Command(f"{root}:DATA", (Text(), Block()), self.store))
            engine.tree.add(Command(f"{root}:CATalog?", (Text(),), self.catalogue))
            engine.tree.add(Command(f"{root}:DELete[:NAME]", (Text(),), self.delete))
        for command in self._sequence_commands():
            engine.tree.add(command)

    # -- commands -----------------------------------------------------------------------------------------

    def store(self, file: str, data: bytes) -> None:
        """``MEM:DATA``: store a waveform or its marker file.

        Raises:
            ScpiError: -257 for a name, -161 for samples that are none.
        """
        folder, name = _file(file)
        if folder == "WFM1":
            if len(data) % _BYTES_A_SAMPLE or len(data) < SAMPLES_MIN * _BYTES_A_SAMPLE:
                raise ScpiError(-161, f"{len(data)} bytes are not {SAMPLES_MIN} or more I/Q samples of 4 bytes")
            self._waveforms[name] = data
            self._markers[name] = bytes(len(data) // _BYTES_A_SAMPLE)
            self._digests[name], self._edges[name] = hashlib.sha256(data).digest(), ()
        elif folder == "MKR1":
            count = len(self._waveform(name)) // _BYTES_A_SAMPLE
            if len(data) != count:
                raise ScpiError(-161, f"{len(data)} marker bytes for {count} samples of {name}")
            self._markers[name], self._edges[name] = data, _edges(data)
        else:
            raise ScpiError(-257, f"{file}: a sequence is made with RAD:ARB:SEQ")

    def catalogue(self, folder: str) -> str:
        """``MEM:CAT?``: used and free bytes, then name, type and size of each file.

        Raises:
            ScpiError: -257 for a folder that is not there.
        """
        files = {"WFM1:": self._waveforms, "MKR1:": self._markers}.get(folder.upper())
        if files is None:
            raise ScpiError(-257, folder)
        used = sum(map(len, files.values()))
        listed = "".join(f',"{name},{folder[:-1].upper()},{len(data)}"' for name, data in sorted(files.items()))
        return f"{used},{(1 << 30) - used}{listed}"

    def delete(self, file: str) -> None:
        """``MEM:DEL``: delete a waveform with its markers, or a sequence.

        Raises:
            ScpiError: -256 when it is not there.
        """
        folder, name = _file(file)
        files = self._sequences if folder == "SEQ" else self._waveforms
        if files.pop(name, None) is None:
            raise ScpiError(-256, file)
        if folder != "SEQ":
            for kept in (self._markers, self._digests, self._edges):
                kept.pop(name, None)

    def make_sequence(self, file: str, tokens: tuple[Token, ...]) -> None:
        """``RAD:ARB:SEQ``: make a sequence of stored waveforms.

        Raises:
            ScpiError: -256 for a waveform that is not there, -109 for an incomplete step, -223 for too many.
        """
        folder, name = _file(file)
        if folder != "SEQ":
            raise ScpiError(-257, file)
        if len(tokens) % 3:
            raise ScpiError(-109, "each step is waveform, repeats, markers")
        if len(tokens) > 3 * STEPS_MAX:
            raise ScpiError(-223, f"{len(tokens) // 3} steps")
        steps: list[tuple[str, int, bool]] = []
        for first in range(0, len(tokens), 3):
            waveform = _file(Text().parse(tokens[first]))[1]
            self._waveform(waveform)
            repeats = Integer(1, REPEATS_MAX).parse(tokens[first + 1])
            markers = tokens[first + 2].text.upper()
            if not _MARKERS.fullmatch(markers):
                raise ScpiError(-224, markers)
            steps.append((waveform, repeats, markers == "ALL" or "M1" in markers))
        self._sequences[name] = steps

    # -- playing ------------------------------------------------------------------------------------------

    def program(self, file: str) -> list[Step]:
        """The steps a selected file plays.

        Raises:
            ScpiError: -256 when it is not there.
        """
        folder, name = _file(file)
        if folder == "SEQ":
            if name not in self._sequences:
                raise ScpiError(-256, file)
            return [self._step(*step) for step in self._sequences[name]]
        if folder == "WFM1":
            return [self._step(name, 1, True)]
        raise ScpiError(-256, file)

    def signal(self, step: Step, sample_rate_hz: float) -> Signal:
        """Demodulate a step: what its samples are on the carrier.

        Raises:
            ScpiError: -300 for samples that change their nature on the way; the simulation plays stationary
                segments only.
        """
        key, data = self._key(step, sample_rate_hz)
        if key not in self._signals:
            self._signals[key] = _demodulated(step.name, data, sample_rate_hz, key[2])
        return self._signals[key]

    def demodulate_aside(self, steps: Iterable[Step], sample_rate_hz: float) -> Callable[[], bool]:
        """Begin to demodulate steps in a thread of its own, as that takes tens of ms; whether all are done.

        From then on :meth:`signal` gives them at once. What is no signal raises there, as ever.
        """
        aside = ThreadPoolExecutor(1, "demodulation", initializer=same_class())
        coming: dict[_Key, Future[Signal]] = {}
        for step in steps:
            key, data = self._key(step, sample_rate_hz)
            if key not in self._signals and key not in coming:
                coming[key] = aside.submit(_demodulated, step.name, data, sample_rate_hz, key[2])
        aside.shutdown(wait=False)

        def are_done() -> bool:
            if not all(each.done() for each in coming.values()):
                return False
            self._signals |= {key: each.result() for key, each in coming.items() if each.exception() is None}
            return True

        return are_done

    def _key(self, step: Step, sample_rate_hz: float) -> tuple[_Key, bytes]:
        """What tells a demodulated step from others, and its samples."""
        data = self._waveform(step.name)
        tiles = min(step.repeats, math.ceil(8_192 / step.samples))
        return (self._digests[step.name], sample_rate_hz, tiles), data

    # -- inside -------------------------------------------------------------------------------------------

    def _sequence_commands(self) -> Iterator[Command]:
        header = "[SOURce:]RADio#:ARB:SEQuence"

        def make(_suffix: int, file: str, tokens: tuple[Token, ...]) -> None:
            self.make_sequence(file, tokens)

        def show(_suffix: int, file: str) -> str:
            name = _file(file)[1]
            if name not in self._sequences:
                raise ScpiError(-256, file)
            steps = (
                f'"WFM1:{wave}",{count},{"M1" if marked else "NONE"}' for wave, count, marked in self._sequences[name]
            )
            return ",".join((f'"SEQ:{name}"', *steps))

        yield Command(header, (Text(), Rest()), make)
        yield Command(f"{header}?", (Text(),), show)

    def _waveform(self, name: str) -> bytes:
        data = self._waveforms.get(name)
        if data is None:
            raise ScpiError(-256, f"WFM1:{name}")
        return data

    def _step(self, name: str, repeats: int, marked: bool) -> Step:
        data = self._waveform(name)
        return Step(name, len(data) // _BYTES_A_SAMPLE, repeats, self._edges[name] if marked else ())


def _demodulated(name: str, data: bytes, sample_rate_hz: float, tiles: int) -> Signal:
    """What samples are on the carrier.

    Raises:
        ScpiError: -300 for samples that change their nature on the way.
    """
    samples = iq.decode(data)
    if not iq.is_stationary(samples, sample_rate_hz):
        raise ScpiError(-300, f"{name} is not stationary; split it into segments to simulate it")
    return _rounded(iq.analyse(np.tile(samples, tiles), sample_rate_hz))


def _file(text: str) -> tuple[str, str]:
    match = _NAME.match(text)
    if match is None:
        raise ScpiError(-257, text[:40])
    return match[1].upper().replace("SEQ1", "SEQ"), match[2]


def _edges(markers: bytes) -> tuple[tuple[int, bool], ...]:
    levels = np.frombuffer(markers, dtype=np.uint8) & 1
    changes = np.flatnonzero(np.diff(levels, prepend=np.uint8(0)))
    return tuple((int(index), bool(levels[index])) for index in changes)


def _rounded(found: iq.Analysis) -> Signal:
    tones = tuple(
        (
            round(frequency_hz / _TONE_STEP_HZ) * _TONE_STEP_HZ,
            round(deviation_hz / _DEVIATION_STEP_HZ) * _DEVIATION_STEP_HZ,
        )
        for frequency_hz, deviation_hz in found.tones
    )
    offset_hz = found.offset_hz if abs(found.offset_hz) >= _OFFSET_MIN_HZ else 0.0
    amplitude = 0.0 if found.silent else round(found.amplitude, 4)
    return Signal(round(offset_hz, 1), amplitude, tones)
