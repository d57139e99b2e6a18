"""A CAN controller in RTL on a simulated bus: the host's side, between a node of the wire and the FPGA's two pins.

Which frame is on the bus when, the wire decides, as ever; while the FPGA has power its frames are played to it bit by
bit inside the simulator, and what the FPGA's controller does to them is what happens on the wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.can.phy.coding import from_frame, to_frame
from hil.can.phy.timing import timing_for
from hil.errors import RtlError
from hil.rtl.can.words import Began, Cut, Disturb, Ended, Header, Meet, Play, Won, pack, unpack

if TYPE_CHECKING:
    from hil.can.bit_segment import Company
    from hil.can.frame import Frame
    from hil.can.node import CanNode
    from hil.rtl.can.words import Word
    from hil.rtl.port import FpgaHandle

_PS = 1000


class CanBridge:
    """Puts the CAN controller of an FPGA on the bus of a node; that node stands for it on the wire from now on.

    Args:
        node: the node that the rig attached for the article's bus port.
        fpga: the article's FPGA.
        binding: name of the binding of kind ``can`` in its RTL file.

    Raises:
        RtlError: when there is no such binding, or the RTL file has a lookahead: a bus answers within its bits.
        BusError: when the bus has another controller in RTL, or a bit rate that cannot be played.
    """

    def __init__(self, node: CanNode, fpga: FpgaHandle, binding: str) -> None:
        bind = fpga.spec.bind.get(binding)
        if bind is None or bind.kind != "can":
            known = ", ".join(name for name, each in fpga.spec.bind.items() if each.kind == "can") or "none"
            raise RtlError(f"{fpga.spec.file}: there is no CAN controller [bind.{binding}]; CAN bindings: {known}")
        if fpga.spec.lookahead_ns:
            raise RtlError(
                f"{fpga.spec.file}: lookahead_us = {fpga.spec.lookahead_us} with a CAN controller: a bus answers "
                "within its bits, so the simulator must not run ahead; leave lookahead_us out"
            )
        timing_for(node.segment.bitrate_bps)
        self._node = node
        self._fpga = fpga
        self._binding = binding
        self._number = 0
        node.take_bits(self)
        fpga.on_event(binding, self._heard)
        fpga.on_power(self._power)

    @property
    def node(self) -> CanNode:
        """Its place on the wire."""
        return self._node

    @property
    def live(self) -> bool:
        """Whether the FPGA has power."""
        return self._fpga.powered

    def play(self, frame: Frame, start_ns: int, *, acknowledged: bool, disturbed: int | None) -> None:
        """Play a frame of the other nodes; see :class:`hil.can.bit_segment.BitLevel`."""
        self._number += 1
        start_ps = (start_ns - self._fpga.live.powered_ns) * _PS
        self._say(Play(self._number, start_ps, from_frame(frame), acknowledged, disturbed))

    def disturb(self, bit: int) -> None:
        """Flip one bit of the frame it is sending, start of frame = 0."""
        self._say(Disturb(bit))

    def cut(self) -> None:
        """The sender of the frame being played is gone."""
        self._say(Cut())

    def meet(self, company: Company) -> None:
        """Who else is there, from now on."""
        self._say(Meet(company.bitrate_bps, company.present, company.passive, company.disturbed))

    def _say(self, word: Word) -> None:
        self._fpga.command(self._binding, pack(word))

    def _power(self, on: bool) -> None:
        if on:
            self._node.segment.go_live(self)
        else:
            self._node.segment.go_dead(self)

    def _heard(self, payload: bytes) -> None:
        segment, powered_ns = self._node.segment, self._fpga.live.powered_ns
        match unpack(payload):
            case Began(start_ps, joined):
                segment.began(powered_ns + start_ps // _PS, joined=joined)
            case Won(number):
                if number == self._number:
                    segment.won()
            case Header(frame, size):
                segment.header(to_frame(frame), size)
            case Ended(number, start_ps, end_ps, failure, frame):
                if number in (0, self._number):
                    whole = None if frame is None or failure is not None else to_frame(frame)
                    segment.ended(powered_ns + start_ps // _PS, powered_ns - (-end_ps // _PS), whole, failure)
            case other:
                raise RtlError(f"{self._binding}: {other} is a word for the peer, not for the host")
