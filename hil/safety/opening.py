"""Opening what a keeper keeps: from what the rig file says of a part to what serves it.

A keeper imports what its parts need, before anything is energised, and nothing else: on a rig without a hazardous bus
neither python-can nor cantools.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from hil.errors import InstrumentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.clock import WallClock
    from hil.safety.card_outlet import CardOutlet
    from hil.safety.gateway import GatewayOutlet
    from hil.safety.keeper import Keeper
    from hil.safety.outlet import Outlet
    from hil.safety.plan import BusPlan, CardPlan, OutletPlan
    from hil.safety.record import KeeperRecord


def open_outlet(plan: OutletPlan, keeper: Keeper, record: KeeperRecord) -> Outlet:
    """Open a VISA instrument.

    Raises:
        InstrumentError: when it does not answer, or is another one.
    """
    from hil.safety.outlet import Outlet
    from hil.visa.driver import Driver
    from hil.visa.gate import Gate
    from hil.visa.upstream import Upstream

    upstream = Upstream.open(plan.resource, plan.name)
    driver = _class(plan.driver)
    if not issubclass(driver, Driver):
        raise InstrumentError(f"{plan.name}: {plan.driver} is no driver")
    driver.recognise(upstream.identity, name=plan.name, serial=plan.serial, where=plan.resource)
    if driver.loads and plan.sequences is None:
        raise InstrumentError(f"{plan.name}: its plan does not say which waveforms it may be loaded with")
    gate = Gate(
        plan.name,
        driver,
        plan.limits,
        allow=plan.allow,
        sequences=plan.sequences,
        allow_modulation=plan.allow_modulation,
    )
    record.write("opened", outlet=plan.name, resource=plan.resource, identity=str(upstream.identity))
    return Outlet(plan, gate, upstream, keeper)


def open_card(plan: CardPlan, keeper: Keeper, record: KeeperRecord) -> CardOutlet:
    """Open an I/O card.

    Raises:
        InstrumentError: when it does not answer, or does not have the channels that keep it safe.
    """
    from hil.io.gate import CardGate, OutputRule
    from hil.io.kept_card import KeptCard
    from hil.io.stream_card import StreamCard
    from hil.safety.card_outlet import CardOutlet

    if not issubclass(_class(plan.driver), StreamCard):
        raise InstrumentError(
            f"{plan.name}: {plan.driver} cannot be kept: the keeper speaks the messages of hil.io.stream; name "
            "hil.io.stream_card:StreamCard"
        )
    card = KeptCard(plan.name, plan.address)
    try:
        card.require(channels_of(plan))
    except InstrumentError:
        card.close()
        raise
    rules = {name: OutputRule(**output.model_dump()) for name, output in plan.outputs.items()}
    record.write("opened", outlet=plan.name, resource=plan.address, identity=card.hello.card)
    return CardOutlet(plan, CardGate(plan.name, rules, reserved=plan.reserved), card, keeper)


def open_gateway(plan: BusPlan, keeper: Keeper, record: KeeperRecord, *, clock: WallClock) -> GatewayOutlet:
    """Open a bus; ``clock`` is the keeper's.

    Raises:
        BusError: when it cannot be opened, or its messages are not those of its database.
        ConfigError: when the database cannot be read.
    """
    from hil.can.database import Database
    from hil.can.gate import CanGate
    from hil.can.kept_bus import KeptBus
    from hil.can.loopback import LoopbackFrames
    from hil.safety.gateway import GatewayOutlet

    database = Database.load(plan.database)
    loopback = None if plan.loopback is None else LoopbackFrames(*plan.loopback)
    gate = CanGate(plan.name, database, plan.send, plan.energising, loopback)

    def opened(wake: Callable[[], None]) -> KeptBus:
        return KeptBus(
            plan.name,
            interface=plan.interface,
            channel=plan.channel,
            bitrate_bps=plan.bitrate_bps,
            clock=clock,
            wake=wake,
        )

    outlet = GatewayOutlet(plan, gate, database, opened, keeper)
    record.write("opened", outlet=plan.name, resource=f"{plan.interface} {plan.channel}", identity="")
    return outlet


def channels_of(plan: CardPlan) -> list[str]:
    """The channels that a card must have: its listed outputs, what its safe sequences move and read, interlocks."""
    from hil.io import card_words

    found = [name for name in plan.outputs if not name.endswith("*")] + list(plan.reserved)
    for steps in (plan.safe, *plan.safe_in.values()):
        for step in steps:
            moved = None if step.write is None else card_words.channel_of(step.write)
            found += [] if moved is None else [moved]
            found += [] if step.query is None else [channel for channel, _ in card_words.readings(step.query)]
    found += [lock.port for lock in plan.interlocks if lock.address == plan.address]
    return list(dict.fromkeys(found))


def _class(name: str) -> type[object]:
    module, _, attribute = name.partition(":")
    found: object = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, type):
        raise InstrumentError(f"{name} is no class")
    return found
