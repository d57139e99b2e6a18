"""The delay table: every link of a chain over all trials of a run, and the chain's total."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hil.evidence.exhibits import LINK_CLASSES
from hil.limits import worst
from hil.report.figures import figure, with_unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hil.evidence.exhibits import Link
    from hil.evidence.index import Run
    from hil.evidence.records import Measured

ENOUGH = 30
"""Fewer delays than these are marked: their spread says little."""

Pass = tuple[int, int, int]  # test, attempt, sample


@dataclass(frozen=True, slots=True)
class Spread:
    """What a set of numbers comes to, as printed; "–" where there are too few.

    Args:
        count: how many there are.
        mean: their mean.
        sigma: their standard deviation (n - 1).
        three_sigma: three times that.
        low: the least.
        high: the greatest.
    """

    count: int
    mean: str
    sigma: str
    three_sigma: str
    low: str
    high: str


@dataclass(frozen=True, slots=True)
class LinkRow:
    """One link as printed; delays in ms.

    Args:
        order: its place, or "" for the total.
        name: what it is.
        spread: what its delays come to.
        missing: passes through the chain in which it was not found.
        clock: the clock or clocks that stamped it.
        uncertainty: the greatest expanded uncertainty (k = 2) of one delay.
        evidence_class: the weakest.
        limits: limits of the measurement of its name, with their verdict.
        beside: whether it does not add to the total.
    """

    order: str
    name: str
    spread: Spread
    missing: int
    clock: str
    uncertainty: str
    evidence_class: str
    limits: str
    beside: bool

    @property
    def few(self) -> bool:
        """Whether there are too few delays for a spread that means something."""
        return self.spread.count < ENOUGH


@dataclass(frozen=True, slots=True)
class ChainView:
    """One chain as printed: its links in order, and their total."""

    name: str
    passes: int
    rows: tuple[LinkRow, ...]
    total: LinkRow | None


def chain_views(run: Run) -> list[ChainView]:
    """Every chain of delays in a run, sorted by name."""
    chains: dict[str, dict[Pass, list[Link]]] = defaultdict(lambda: defaultdict(list))
    measured: dict[str, list[Measured]] = defaultdict(list)
    for number, test in enumerate(run.tests):
        for attempt in test.attempts:
            for link in attempt.exhibits.links:
                chains[link.chain][number, attempt.number, link.sample].append(link)
            for each in attempt.measurements:
                measured[each.name].append(each)
    return [_chain(name, chains[name], measured) for name in sorted(chains)]


def spread(values: Sequence[float]) -> Spread:
    """Mean, spread and ends of some numbers.

    >>> spread([1.0, 2.0, 3.0])
    Spread(count=3, mean='2', sigma='1', three_sigma='3', low='1', high='3')
    """
    if not values:
        return Spread(0, "–", "–", "–", "–", "–")
    mean = statistics.fmean(values)
    sigma = statistics.stdev(values) if len(values) > 1 else None
    digits = [_digits(each) for each in (mean, sigma, None if sigma is None else 3.0 * sigma, min(values), max(values))]
    return Spread(len(values), *digits)


def _chain(name: str, passes: Mapping[Pass, list[Link]], measured: Mapping[str, list[Measured]]) -> ChainView:
    links: dict[tuple[int, str], list[Link]] = defaultdict(list)
    for each in passes.values():
        for link in each:
            links[link.order, link.name].append(link)
    rows: list[LinkRow] = []
    for order, title in sorted(links):
        found = links[order, title]
        values = [link.value_ms for link in found if link.value_ms is not None]
        without = sum(all((link.order, link.name) != (order, title) for link in each) for each in passes.values())
        rows.append(
            LinkRow(
                order=str(order),
                name=title,
                spread=spread(values),
                missing=len(found) - len(values) + without,
                clock=_all(link.clock for link in found),
                uncertainty=_digits(max(link.uncertainty_ms for link in found)),
                evidence_class=_weakest(found),
                limits=_limits(found[0], measured),
                beside=not any(link.in_total for link in found),
            )
        )
    return ChainView(name, len(passes), tuple(rows), _total(name, passes, measured))


def _total(name: str, passes: Mapping[Pass, list[Link]], measured: Mapping[str, list[Measured]]) -> LinkRow | None:
    """The sum of the links of each pass that has every one of them once, over all such passes."""
    parts = sorted({(link.order, link.name) for each in passes.values() for link in each if link.in_total})
    if len(parts) < 2:  # the sum of one link is that link
        return None
    sums: list[float] = []
    for each in passes.values():
        adding = [link for link in each if link.in_total]
        values = [link.value_ms for link in adding if link.value_ms is not None]
        if len(values) == len(adding) and sorted((link.order, link.name) for link in adding) == parts:
            sums.append(sum(values))
    adding = [link for each in passes.values() for link in each if link.in_total]
    worst_of = [max(link.uncertainty_ms for link in adding if (link.order, link.name) == part) for part in parts]
    return LinkRow(
        order="",
        name="total",
        spread=spread(sums),
        missing=len(passes) - len(sums),
        clock=_all(link.clock for link in adding),
        uncertainty=_digits(sum(worst_of)),
        evidence_class=_weakest(adding),
        limits=_limits_of(name, measured),
        beside=False,
    )


def _limits(link: Link, measured: Mapping[str, list[Measured]]) -> str:
    return _limits_of(link.measurement or link.name, measured)


def _limits_of(name: str, measured: Mapping[str, list[Measured]]) -> str:
    """The limits that judged measurements of a name in this run, and the worst verdict; "" when none was taken."""
    found = [each for each in measured.get(name, []) if not each.info]
    texts = sorted({_between(each) for each in found})
    return f"{'; '.join(texts)} {worst(each.verdict for each in found).value.replace('_', ' ')}" if found else ""


def _between(measured: Measured) -> str:
    texts = [f"≥ {with_unit(measured.low, measured.unit)}"] if measured.low is not None else []
    texts += [f"≤ {with_unit(measured.high, measured.unit)}"] if measured.high is not None else []
    return ", ".join(texts) or "no limit"


def _weakest(links: Iterable[Link]) -> str:
    return min((link.evidence_class for link in links), key=LINK_CLASSES.index)


def _all(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(texts))


def _digits(value: float | None) -> str:
    return "–" if value is None else figure(float(f"{value:.5g}"))
