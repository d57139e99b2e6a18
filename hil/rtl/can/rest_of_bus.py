"""The rest of a CAN bus, for a controller in RTL: one bit-level controller that stands for all other nodes.

The host says which frame the others send and when; it is played bit by bit, and what became of it is told. Frames of
the design are received, acknowledged when somebody is there to do so, and told. It knows no simulator: the peer gives
it a line made of two pins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hil.can.phy.confinement import Uncounted
from hil.can.phy.events import (
    ArbitrationLost,
    ErrorFound,
    ErrorOver,
    HeaderRead,
    Received,
    Sent,
    Started,
)
from hil.can.phy.mac import Mac
from hil.can.phy.node import Node
from hil.can.phy.parse import Field
from hil.can.phy.timing import timing_for
from hil.rtl.can.words import Began, Cut, Disturb, Ended, Header, Meet, Play, Won, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.can.phy.coding import PhyFrame
    from hil.can.phy.events import Action, Told
    from hil.rtl.can.words import Failure, Word

_FLAG_BITS = 6  # by which a passive error flag and its delimiter outlast the end of a frame nobody acknowledged


class BitLine(Protocol):
    """A bus with the design on it: what :class:`hil.rtl.peer.can_line.PinLine` is inside a simulator."""

    @property
    def now_ps(self) -> int:
        """Time since power-up [ps]."""
        ...

    @property
    def bus(self) -> int:
        """The level of the bus: 0 dominant, 1 recessive."""
        ...

    def attach(self, node: Node) -> Node:
        """Put a controller on the bus."""
        ...

    def send(self, node: Node, frame: PhyFrame) -> None:
        """Give a controller a frame to send, now."""
        ...

    def apply(self, node: Node, actions: list[Action]) -> None:
        """Let a controller's actions take effect, now."""
        ...

    def refresh(self) -> None:
        """Something has changed from outside."""
        ...


class RestOfBus:
    """All nodes of a bus but the design, as one controller.

    Args:
        line: the bus; whoever makes it hands what its controllers tell to :meth:`told`.
        post: takes words for the host.
    """

    def __init__(self, line: BitLine, post: Callable[[bytes], None]) -> None:
        self._line = line
        self._post = post
        self._others = Uncounted()
        self._mac = Mac(fd=False, counters=self._others, retransmit=False, integrated=True)
        self._node: Node | None = None
        self._bit_ps = 0
        self._number = 0  # of the frame being played
        self._playing = False  # whether the frame on the bus is that one
        self._failure: Failure | None = None
        self._show_headers = False
        self._waiting: Meet | None = None  # company that takes effect when the frame on the bus has ended

    def command(self, payload: bytes) -> None:
        """A word of the host.

        Raises:
            ValueError: when it is none, or comes before the bit rate.
        """
        self._catch_up()
        match unpack(payload):
            case Play() as play:
                self._play(play)
            case Cut():
                self._mac.abandon()
                self._line.refresh()
            case Disturb(bit):
                self._disturb(bit)
            case Meet() as meet:
                self._meet(meet)
            case other:
                raise ValueError(f"{other} is a word for the host, not for the peer")

    def _say(self, word: Word) -> None:
        self._post(pack(word))

    # -- from the host ----------------------------------------------------------------------------------------

    def _catch_up(self) -> None:
        """Bring the controller to now: between edges it is behind, and would take a word for one of the past."""
        node, line = self._node, self._line
        if node is not None:
            line.apply(node, node.edge(line.now_ps, line.bus))

    def _disturb(self, bit: int) -> None:
        """Flip a bit of the frame that the design is sending; one that has begun is too late, the next is flipped."""
        mac = self._mac
        if mac.in_frame and not self._playing:
            mac.disturb_at = max(bit, mac.parser.index + 1)
            self._line.refresh()  # it looks at every bit now, not only where a frame can change

    def _meet(self, meet: Meet) -> None:
        if self._node is None:
            timing = timing_for(meet.bitrate_bps)
            self._bit_ps = timing.bit_ps
            self._node = self._line.attach(Node(timing, self._mac, origin_ps=self._line.now_ps))
        self._show_headers = meet.disturbed
        self._others.all_passive = meet.passive
        if meet.present and self._mac.listen_only and self._mac.in_frame:
            self._waiting = meet  # who was not there at its start does not acknowledge it
        else:
            self._waiting = None
            self._mac.listen_only = not meet.present
            self._line.refresh()

    def _play(self, play: Play) -> None:
        node, mac, now_ps = self._node, self._mac, self._line.now_ps
        if node is None:
            raise ValueError(f"{play} came before the bit rate")
        begun = play.start_ps + self._bit_ps <= now_ps
        if mac.in_frame and not begun:
            self._say(Won(play.number))
            return
        self._number = play.number
        mac.listen_only = False
        mac.acknowledges_itself = play.acknowledged
        mac.disturb_at = play.disturbed
        if begun or (mac.can_start and self._line.bus):
            self._playing, self._failure = True, None
            self._line.apply(node, node.resume(now_ps, play.frame, play.start_ps))
        else:
            self._line.send(node, play.frame)

    # -- from the bus -----------------------------------------------------------------------------------------

    def told(self, told: Told) -> None:
        """What the controller that stands for the others tells."""
        match told.event:
            case Started(own, sending):
                self._playing, self._failure = sending, None
                if not own:
                    self._say(Began(told.start_ps, sending))
            case ArbitrationLost():
                self._playing = False
                self._say(Won(self._number))
            case HeaderRead(frame, size):
                if self._show_headers and not self._playing:
                    self._say(Header(frame, size))
            case Received(frame, acknowledged):
                late_ps = 0 if acknowledged else _FLAG_BITS * self._bit_ps
                self._end(Ended(0, told.start_ps, told.end_ps + late_ps, None if acknowledged else "ack", frame))
            case Sent():
                self._end(Ended(self._number, told.start_ps, told.end_ps, None, None))
            case ErrorFound(fault):
                self._failure = self._failure or self._meaning(fault)
            case ErrorOver():
                number = self._number if self._playing else 0
                self._end(Ended(number, told.start_ps, told.end_ps, self._failure, None))
            case _:
                pass

    def _meaning(self, fault: str) -> Failure:
        """What an error is on the wire: the flag of a sender that nobody acknowledged looks like a form error."""
        parser = self._mac.parser
        silent = parser.field is Field.ACK_DELIMITER and not parser.acknowledged
        return "ack" if fault == "ack" or (silent and not self._playing) else "bit"

    def _end(self, ended: Ended) -> None:
        self._playing = False
        self._say(ended)
        if self._waiting is not None:
            self._mac.listen_only = not self._waiting.present
            self._waiting = None
