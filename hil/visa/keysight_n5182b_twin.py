"""A simulated Keysight N5182B: RF output ``name.rf``, first marker output ``name.marker1``, trigger ``name.trigger``.

It does not know what the driver wanted to play: it demodulates the samples that were loaded, and radiates the
tones it finds. What is physics here: settling after a change of frequency or level, the time from trigger to
output, which varies by tens of milliseconds for a bus trigger and is microseconds for an edge at the trigger input,
and the delay from marker to RF.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from hil.nets import RfValue, Tone
from hil.units import ms, s
from hil.visa.arb import Memory, Signal, Step
from hil.visa.keysight_n5182b import KeysightN5182B
from hil.visa.panel import Panel
from hil.visa.scpi.common import add_status
from hil.visa.scpi.errors import ScpiError
from hil.visa.scpi.parameters import Boolean
from hil.visa.scpi.tree import Command
from hil.visa.twin import Twin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hil.clock import Clock, Event
    from hil.noise import Streams
    from hil.wiring import Wiring

SETTLING_NS = 5 * ms
"""Time from a change of frequency, level or state to the settled output [ns]; not verified."""
ARB_ON_NS = 20 * ms
"""Time from switching the waveform player on until it waits for its trigger [ns]; design value."""
_AGAIN_NS = 1 * ms  # when to look again whether demodulation is done [ns]
TRIGGER_NS = (10 * ms, 40 * ms)
"""Time from a bus trigger to the first sample, shortest and longest [ns]; design value."""
EXTERNAL_TRIGGER_NS = 1_500
"""Time from an edge at the trigger input to the sample clock that may begin [ns]; not verified, of the data sheet's
class. The first sample comes with the next sample clock, up to one period later."""
TRIGGER_V = 1.5
"""Switching voltage of the trigger input [V]: TTL."""
TRIGGER_OHM = 10e3
"""Input resistance of the trigger input [ohm]; not verified."""
MARKER_TO_RF_NS = 300
"""Delay of the RF output behind the marker output [ns]; design value."""
MARKER_V = 3.3
"""High level of a marker output without load [V]."""
MARKER_OHM = 50.0
"""Source resistance of a marker output [ohm]."""
_NOT_FITTED = ("[SOURce:]LFOutput:STATe", "[SOURce:]AM#:STATe", "[SOURce:]PULM:STATe")


class _Player:
    """The waveform player: off, waiting for a trigger, or playing."""

    def __init__(self, twin: KeysightN5182BTwin) -> None:
        self._twin = twin
        self._clock = twin.clock
        self._marker = twin.wiring.pin(f"{twin.name}.marker1")
        self._input = twin.wiring.pin(f"{twin.name}.trigger")
        self._input_high = False
        self._jitter = twin.streams.stream(twin.name, "trigger")
        self._clocks = twin.streams.stream(twin.name, "sample clock")
        self._program: list[tuple[Step, Signal]] = []
        self._reference = 1.0
        self._rate_hz = 1.0
        self._run = 0
        self._arming: Event | None = None
        self._again = False
        self.waiting = False
        self.playing = False
        self.signal: Signal | None = None
        """What the samples on the output are; None for the bare carrier."""
        self.since_ns = 0
        """Rig time since which they are there [ns]."""
        self._marker.drive(0.0, MARKER_OHM)
        self._input.load(TRIGGER_OHM)
        self._input.on_change(self._input_changed)

    def switch_on(self) -> None:
        """Take the selected file and wait for a trigger.

        Raises:
            ScpiError: -221 when nothing is selected, or what the memory reports.
        """
        self.switch_off()
        panel, memory = self._twin.panel, self._twin.memory
        selected = panel.get(KeysightN5182B.arb_waveform)
        if not selected:
            raise ScpiError(-221, "no waveform is selected")
        self._rate_hz = panel.get(KeysightN5182B.arb_sample_rate_hz)
        steps = memory.program(selected)
        done: Callable[[], bool] | None = None
        if self._clock.pace == "virtual":
            self._load(steps)
        else:
            done = memory.demodulate_aside(steps, self._rate_hz)
        self._twin.engine.begin()
        self._arming = self._clock.at(self._clock.now + ARB_ON_NS, lambda: self._arm(steps, done))

    def switch_off(self) -> None:
        """Stop; the carrier is bare, the marker low."""
        self._cancel()
        if self._arming is not None:
            self._arming.cancel()
            self._arming = None
            self._twin.engine.finish()
        self.waiting = self.playing = self._again = False
        self._mark(high=False)
        self._show(None)

    def trigger(self) -> None:
        """A bus trigger.

        Raises:
            ScpiError: -211 when the player does not wait for one.
        """
        if self._twin.panel.get(KeysightN5182B.arb_trigger_source) != "BUS" or not (self.waiting or self.playing):
            raise ScpiError(-211, "the waveform player does not wait for a bus trigger")
        self._play_after(int(self._jitter.integers(*TRIGGER_NS, endpoint=True)))

    def level_db(self) -> float:
        """Level of what is played against the programmed level [dB]."""
        if self.signal is None:
            return 0.0
        ratio = self.signal.amplitude / self._reference
        return 20.0 * math.log10(ratio) if ratio > 0.0 else -math.inf

    # -- inside -------------------------------------------------------------------------------------------

    def _input_changed(self) -> None:
        """An edge at the trigger input, if it is one: play, when the player waits for that edge."""
        high = self._input.volts > TRIGGER_V
        if high is self._input_high:
            return
        self._input_high = high
        panel = self._twin.panel
        if panel.get(KeysightN5182B.arb_trigger_source) != "EXT" or not (self.waiting or self.playing):
            return
        wanted = panel.get(KeysightN5182B.arb_trigger_slope) == "POS"
        if high is not wanted or panel.get(KeysightN5182B.arb_trigger_input) != "EPT1":
            return
        delay_ns = EXTERNAL_TRIGGER_NS + int(self._clocks.integers(0, self._time(1), endpoint=True))
        if panel.get(KeysightN5182B.arb_trigger_delayed):
            delay_ns += round(panel.get(KeysightN5182B.arb_trigger_delay_s) * s)
        self._play_after(delay_ns)

    def _play_after(self, delay_ns: int) -> None:
        """A trigger was accepted: play after a delay [ns], or what the retrigger mode says while it plays."""
        retrigger = self._twin.panel.get(KeysightN5182B.arb_retrigger)
        if self.playing and retrigger == "OFF":
            return
        if self.playing and retrigger == "ON":
            self._again = True
            return
        self._cancel()
        self.waiting, self.playing = False, True
        self._later(self._clock.now + delay_ns, lambda: self._start(0, self._clock.now))

    def _load(self, steps: Sequence[Step]) -> None:
        self._program = [(step, self._twin.memory.signal(step, self._rate_hz)) for step in steps]
        self._reference = max((signal.amplitude for _, signal in self._program), default=0.0) or 1.0

    def _arm(self, steps: Sequence[Step], done: Callable[[], bool] | None) -> None:
        """It is ready; in wall time as soon as it is known what its samples are, which holds up nobody else."""
        if done is not None and not done():
            self._arming = self._clock.at(self._clock.now + _AGAIN_NS, lambda: self._arm(steps, done))
            return
        self._arming = None
        self._twin.engine.finish()
        try:
            self._load(steps)
        except ScpiError as refusal:
            self._twin.engine.status.report(refusal)
            return
        self._armed()

    def _armed(self) -> None:
        if self._twin.panel.get(KeysightN5182B.arb_trigger_type) == "CONT":
            self.playing = True
            self._start(0, self._clock.now)
        else:
            self.waiting = True

    def _start(self, index: int, start_ns: int) -> None:
        """Begin step ``index`` at ``start_ns``, or end."""
        if index >= len(self._program):
            self._end(start_ns)
            return
        step, signal = self._program[index]
        self._later(start_ns + MARKER_TO_RF_NS, lambda: self._show(signal))
        self._repeat(step, 0, start_ns)
        end_ns = start_ns + self._time(step.samples * step.repeats)
        self._later(end_ns, lambda: self._start(index + 1, end_ns))

    def _repeat(self, step: Step, done: int, start_ns: int) -> None:
        """Schedule the marker edges of one repeat of a step."""
        base = done * step.samples
        if not step.marker_edges or step.marker_edges[0][0] > 0:
            self._mark(high=False)
        for sample, high in step.marker_edges:
            edge_ns = start_ns + self._time(base + sample)
            if edge_ns <= self._clock.now:
                self._mark(high=high)
            else:
                self._later(edge_ns, lambda high=high: self._mark(high=high))
        if step.marker_edges and done + 1 < step.repeats:
            again_ns = start_ns + self._time(base + step.samples)
            self._later(again_ns, lambda: self._repeat(step, done + 1, start_ns))

    def _end(self, end_ns: int) -> None:
        """The last step has been played; the carrier stays as the last sample left it, without tones."""
        self._mark(high=False)
        if self._twin.panel.get(KeysightN5182B.arb_trigger_type) == "CONT" or self._again:
            self._again = False
            self._start(0, end_ns)
            return
        self.playing, self.waiting = False, True
        if self._program[-1][1].amplitude > 0.0:
            self._later(end_ns + MARKER_TO_RF_NS, lambda: self._show(None))

    def _show(self, signal: Signal | None) -> None:
        self.signal = signal
        self.since_ns = self._clock.now
        self._twin.render()

    def _mark(self, *, high: bool) -> None:
        self._marker.drive(MARKER_V if high else 0.0, MARKER_OHM)

    def _time(self, samples: int) -> int:
        return round(samples * s / self._rate_hz)

    def _later(self, time_ns: int, fn: Callable[[], None]) -> None:
        """Call ``fn`` at ``time_ns`` unless the player was stopped or started again before."""
        run = self._run

        def unless_stopped() -> None:
            if run == self._run:
                fn()

        self._clock.at(time_ns, unless_stopped)

    def _cancel(self) -> None:
        self._run += 1


class KeysightN5182BTwin(Twin):
    """A simulated N5182B with waveform player and FM, without AM, pulse and LF output.

    Args:
        name: what the rig calls it; its pins are ``name.rf`` (RF), ``name.marker1`` and ``name.trigger``.
        clock: the rig clock.
        streams: random streams of the world.
        wiring: the rig's wiring.
        serial: serial number it answers.
    """

    model: ClassVar[str] = "N5182B"
    firmware: ClassVar[str] = "B.01.86"
    latency_ns: ClassVar[int] = 2 * ms

    def __init__(
        self, *, name: str, clock: Clock, streams: Streams, wiring: Wiring, serial: str = "MY00000002"
    ) -> None:
        super().__init__(name=name, clock=clock, streams=streams, wiring=wiring, serial=serial)
        add_status(self.engine, 1, listed=False)
        self.panel = Panel(self.engine, KeysightN5182B, channels=None, number="+.13E")
        self.memory = Memory(self.engine)
        self._rf = wiring.rf_pin(f"{name}.rf")
        self._settled = (0.0, 0.0, False)
        self._settling: Event | None = None
        self._fm: Tone | None = None
        self.player = _Player(self)
        self._declare()
        self.engine.trigger = self.player.trigger

    def reset(self) -> None:
        """``*RST``: RF off, player off, every setting as delivered; the memory keeps its files."""
        self.panel.restore()
        self.player.switch_off()
        self._settle()

    def render(self) -> None:
        """Put on the RF pin what settings and waveform player make together."""
        carrier_hz, level_dbm, on = self._settled
        player = self.player
        modulated = self.panel.get(KeysightN5182B.modulation_enabled)
        level_db = player.level_db() if modulated else 0.0
        if not on or math.isinf(level_db):
            self._rf.drive(None)
            return
        tones: tuple[Tone, ...] = ()
        if modulated and player.signal is not None:
            tones = tuple(Tone(f, deviation, player.since_ns) for f, deviation in player.signal.tones)
            carrier_hz += player.signal.offset_hz
        elif modulated and self._fm is not None:
            tones = (self._fm,)
        self._rf.drive(RfValue(carrier_hz=carrier_hz, level_dbm=level_dbm + level_db, tones=tones))

    # -- inside -------------------------------------------------------------------------------------------

    def _declare(self) -> None:
        panel = self.panel
        for setting in (KeysightN5182B.frequency_hz, KeysightN5182B.level_dbm):
            panel.react(setting, lambda _: self._settle())
        for switch in (KeysightN5182B.rf_enabled, KeysightN5182B.modulation_enabled, KeysightN5182B.fm_enabled):
            panel.react(switch, lambda _: self._settle())
        for number in (KeysightN5182B.fm_deviation_hz, KeysightN5182B.fm_rate_hz):
            panel.react(number, lambda _: self._settle())
        panel.react(KeysightN5182B.arb_enabled, lambda _: self._switch_player())
        panel.react(KeysightN5182B.arb_waveform, lambda _: self._select())
        panel.bind()
        for header in _NOT_FITTED:
            self.engine.tree.add(Command(header, (Boolean(),), _absent))
            self.engine.tree.add(Command(f"{header}?", (), _off))

    def _switch_player(self) -> None:
        if self.panel.get(KeysightN5182B.arb_enabled):
            self.player.switch_on()
        else:
            self.player.switch_off()

    def _select(self) -> None:
        self.memory.program(self.panel.get(KeysightN5182B.arb_waveform))
        if self.panel.get(KeysightN5182B.arb_enabled):
            self.player.switch_on()

    def _settle(self) -> None:
        """Frequency, level, state or FM was set: the output follows after the settling time."""
        if self._settling is None:
            self.engine.begin()
        else:
            self._settling.cancel()
        self._settling = self.clock.at(self.clock.now + SETTLING_NS, self._has_settled)

    def _has_settled(self) -> None:
        self._settling = None
        self.engine.finish()
        panel = self.panel
        self._settled = (
            panel.get(KeysightN5182B.frequency_hz),
            panel.get(KeysightN5182B.level_dbm),
            panel.get(KeysightN5182B.rf_enabled),
        )
        rate_hz, deviation_hz = panel.get(KeysightN5182B.fm_rate_hz), panel.get(KeysightN5182B.fm_deviation_hz)
        fm_on = panel.get(KeysightN5182B.fm_enabled) and deviation_hz > 0.0
        if not fm_on:
            self._fm = None
        elif self._fm is None or (self._fm.frequency_hz, self._fm.deviation_hz) != (rate_hz, deviation_hz):
            self._fm = Tone(rate_hz, deviation_hz, self.clock.now)
        self.render()


def _off(*_suffixes: int) -> str:
    return "0"


def _absent(*sent: object) -> None:
    """An option that is not fitted: it can be switched off, not on.

    Raises:
        ScpiError: -241 when it is switched on.
    """
    if sent[-1]:
        raise ScpiError(-241, "option not fitted")
