"""Claims that rest on a printed average which is not that of its cells: what the cells give instead."""

from collections.abc import Iterator, Sequence

from actlift.report.audit_checks import AVERAGE, Claim, Finding, shown


def by_cells(claims: Sequence[Claim]) -> Iterator[Finding]:
    """Percentages of averages of which one does not follow from its cells, worked out again from the cells.

    Each as a share of the figure compared with, and of the better one where only that could give what is claimed.
    """
    for claim in claims:
        if claim.cell != AVERAGE or claim.percent is None or not (claim.better.off or claim.than.off):
            continue
        better, than = claim.better.mean, claim.than.mean
        gain = better - than if claim.higher else than - better
        printed = [row.at(AVERAGE) for row in (claim.better, claim.than) if row.off]
        yield Finding(
            "suspicion",
            "average",
            f"{claim.name}: {claim.better.table}, {claim.better.name} against {claim.than.name}, {claim.cell}",
            f"{claim.percent} %",
            f"{shown(100 * gain / than, claim.percent)} %",
            f"Rests on an average that is not that of its cells ({'; '.join(printed)}). The cells give "
            f"{shown(100 * gain / better, claim.percent)} % as a share of the better figure.",
        )
