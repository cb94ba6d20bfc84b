"""Findings against waivers: what has no reason, and which reason has no finding."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

WAIVERS = Path(__file__).with_name("waivers.yaml")
VARIANTS = ("default", "hardened")


@dataclass(frozen=True, order=True)
class Finding:
    rule: str
    resource: str
    variant: str
    text: str


@dataclass(frozen=True)
class Waiver:
    rule: str
    pattern: str
    variant: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        return (self.rule, self.variant) == (finding.rule, finding.variant) and fnmatchcase(
            finding.resource, self.pattern
        )


def read(path: Path = WAIVERS) -> list[Waiver]:
    """One for each pattern in each variant. Raises ValueError for one without a reason."""
    waivers = []
    for entry in yaml.safe_load(path.read_text()):
        unknown = set(entry) - {"rule", "resources", "variants", "reason"}
        if unknown or not str(entry.get("reason") or "").strip():
            raise ValueError(
                f"{path.name}: {entry.get('rule')} has no reason, or has fields that nobody reads: {entry}"
            )
        for variant in entry.get("variants", VARIANTS):
            if variant not in VARIANTS:
                raise ValueError(f"{path.name}: there is no variant {variant}")
            waivers += [Waiver(entry["rule"], pattern, variant, entry["reason"]) for pattern in entry["resources"]]
    return waivers


def unexplained(findings: Iterable[Finding], waivers: Iterable[Waiver]) -> list[Finding]:
    waivers = list(waivers)
    return sorted({each for each in findings if not any(waiver.covers(each) for waiver in waivers)})


def idle(findings: Iterable[Finding], waivers: Iterable[Waiver]) -> list[Waiver]:
    findings = list(findings)
    return [each for each in waivers if not any(each.covers(finding) for finding in findings)]
