"""The rows of the table that `make bench` prints, with what each is to reach."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.cases import PEERS, layers, ours
from tests.bench.measuring import Measured
from tests.found import VENDORS

REQUESTS = {"callback": {"dxtong": 2, "jumdata": 1}, "send": {"dxtong": 3, "jumdata": 4}}
"""To AWS a message, at the most: a receipt of dxtong goes by its call id, and a call of jumdata counts in a cap."""
COLD = {"callback": 0.90, "send": 1.10}
WARM = {"callback": 1.10, "send": 1.45}
ANEW = 1.05
ZIP_MB = 1.2


@dataclass(frozen=True)
class Row:
    """``peers`` has the same of what others would write, as far as it can be said."""

    what: str
    ours: float
    most: float
    peers: dict[str, float] = field(default_factory=dict)

    @property
    def reached(self) -> bool:
        """By what is printed."""
        return float(f"{self.ours:.2f}") <= self.most

    @property
    def cells(self) -> list[str]:
        peers = [f"{self.peers[name]:.2f}" if name in self.peers else "" for name in PEERS]
        return [self.what, f"{self.ours:.2f}", *peers, f"{self.most:.2f}", "yes" if self.reached else "no"]


def rows(measured: Measured, built: Path, folder: Path) -> Iterator[Row]:
    """The worse of the vendors counts."""
    for what, most in COLD.items():
        yield _row(f"cold {what} ÷ A", what, most, measured.cold_by)
    writes = REQUESTS["callback"]
    yield Row(
        "warm CPU of a callback ÷ as many bare UpdateItems",
        max(measured.warm_by(ours("callback", vendor), "base_update") / writes[vendor] for vendor in VENDORS),
        WARM["callback"],
        # These write once, for they look for no message.
        {peer: measured.warm_by(f"{peer} callback", "base_update") for peer in PEERS},
    )
    yield _row(
        "warm CPU of a send ÷ two bare writes and a post",
        "send",
        WARM["send"],
        lambda case: measured.warm_by(case, "base_send"),
    )
    yield Row("cold send ÷ the same with bytecode made anew", measured.artifact_by_anew, ANEW)
    yield Row("layers as zip without boto3, MB", zipped(built, folder), ZIP_MB)
    for what, by_vendor in REQUESTS.items():
        for vendor, most in by_vendor.items():
            # What is read once a process disappears in the rounding.
            peers = {peer: round(measured.requests[f"{peer} {what}"], 1) for peer in PEERS if vendor == "dxtong"}
            made = round(measured.requests[ours(what, vendor)], 1)
            yield Row(f"requests to AWS a {what}, {vendor}", made, most, peers)


def _row(title: str, what: str, most: float, ratio: Callable[[str], float]) -> Row:
    worst = max(ratio(ours(what, vendor)) for vendor in VENDORS)
    return Row(title, worst, most, {peer: ratio(f"{peer} {what}") for peer in PEERS})


def zipped(built: Path, folder: Path) -> float:
    """Millions of bytes of both layers, without what Lambda's own Python brings."""
    less = folder / "less"
    for layer in layers(built):
        ignored = shutil.ignore_patterns("boto3*", "botocore*", "s3transfer*")
        shutil.copytree(layer, less, dirs_exist_ok=True, ignore=ignored)
    archive = Path(shutil.make_archive(str(folder / "less"), "zip", less))
    return archive.stat().st_size / 1e6


def markdown(found: Iterable[Row]) -> str:
    heads = ["what", "ours", *PEERS, "to reach", "reached"]
    lines = [heads, ["---"] * len(heads), *(row.cells for row in found)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
