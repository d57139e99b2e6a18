"""The commands every instrument has: IEEE 488.2 common commands, SYSTem and STATus (SCPI-99)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hil.visa.scpi.arguments import Channels
from hil.visa.scpi.engine import Later
from hil.visa.scpi.parameters import Integer
from hil.visa.scpi.tree import Command

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.visa.scpi.engine import Engine, Result
    from hil.visa.scpi.status import Group

_BYTE = Integer(0, 255)
_WORD = Integer(0, 0x7FFF)
SCPI_VERSION = "1999.0"
"""Answer to ``SYSTem:VERSion?``."""


def add_common(engine: Engine, identity: Callable[[], str], options: str = "0") -> None:
    """Teach an instrument the mandatory commands of IEEE 488.2 and SCPI-99.

    Args:
        engine: the instrument's message exchange.
        identity: gives the answer to ``*IDN?``.
        options: the answer to ``*OPT?``.
    """
    status = engine.status
    tree = engine.tree

    def event_enable(mask: int) -> None:
        status.event_enable = mask
        status.update()

    def service_enable(mask: int) -> None:
        status.service_enable = mask & 0xBF  # bit 6 cannot be enabled (IEEE 488.2, 11.3.2.2)
        status.update()

    def clear() -> None:
        engine.forget_completion()
        status.clear()

    def reset() -> None:
        engine.forget_completion()
        engine.reset()

    def trigger() -> None:
        engine.trigger()

    tree.add(Command("*IDN?", (), identity, indefinite=True))
    tree.add(Command("*OPT?", (), lambda: options, indefinite=True))
    tree.add(Command("*RST", (), reset))
    tree.add(Command("*CLS", (), clear))
    tree.add(Command("*ESE", (_BYTE,), event_enable))
    tree.add(Command("*ESE?", (), lambda: str(status.event_enable)))
    tree.add(Command("*ESR?", (), lambda: str(status.take_events())))
    tree.add(Command("*SRE", (_BYTE,), service_enable))
    tree.add(Command("*SRE?", (), lambda: str(status.service_enable)))
    tree.add(Command("*STB?", (), lambda: str(status.byte())))
    tree.add(Command("*OPC", (), engine.complete))
    tree.add(Command("*OPC?", (), lambda: Later(None, _one) if engine.pending else "1"))
    tree.add(Command("*WAI", (), lambda: Later(None, _silence) if engine.pending else None))
    tree.add(Command("*TST?", (), lambda: "0"))
    tree.add(Command("*TRG", (), trigger))
    tree.add(Command("SYSTem:ERRor[:NEXT]?", (), status.next_error))
    tree.add(Command("SYSTem:ERRor:COUNt?", (), lambda: str(len(status.errors))))
    tree.add(Command("SYSTem:VERSion?", (), lambda: SCPI_VERSION))


def add_status(engine: Engine, channels: int, *, listed: bool) -> None:
    """Teach an instrument ``STATus:OPERation`` and ``STATus:QUEStionable``, one group of each per channel.

    Args:
        engine: the instrument's message exchange.
        channels: how many channels it has.
        listed: whether the commands take a channel list.
    """
    status = engine.status
    status.add_channels(channels)

    def preset() -> None:
        for group in (*status.operation, *status.questionable):
            group.preset()

    engine.tree.add(Command("STATus:PRESet", (), preset))
    for name, groups in (("OPERation", status.operation), ("QUEStionable", status.questionable)):
        _add_groups(engine, f"STATus:{name}", groups, Channels(channels) if listed else None)


def _add_groups(engine: Engine, root: str, groups: list[Group], channels: Channels | None) -> None:
    listed = () if channels is None else (channels,)

    def query(suffix: str, read: Callable[[Group], int]) -> None:
        def run(chosen: tuple[int, ...] = (1,)) -> Result:
            return ",".join(str(read(groups[channel - 1])) for channel in chosen)

        engine.tree.add(Command(f"{root}{suffix}?", listed, run))

    def register(suffix: str, name: str) -> None:
        def write(value: int, chosen: tuple[int, ...] = (1,)) -> None:
            for channel in chosen:
                setattr(groups[channel - 1], name, value)
            engine.status.update()

        engine.tree.add(Command(f"{root}{suffix}", (_WORD, *listed), write))
        query(suffix, lambda group: int(getattr(group, name)))

    query("[:EVENt]", lambda group: group.take_event())
    query(":CONDition", lambda group: group.condition)
    register(":ENABle", "enable")
    register(":PTRansition", "positive")
    register(":NTRansition", "negative")


def _one() -> str:
    return "1"


def _silence() -> None:
    return None
