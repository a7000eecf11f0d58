"""Where everything of a home lies (docs/FORMAT.md section 2)."""

import re
from dataclasses import dataclass
from pathlib import Path

# Wider than a type's domain: older daemons left logs such as `zombie-cleanup-events.jsonl`.
_DOMAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,95}\Z")
_LIVE_SUFFIX = "-events.jsonl"
_STEM_SUFFIX = "-events"


@dataclass(frozen=True, slots=True)
class Home:
    """The folder that has `coordination/`; nothing here looks whether a path exists."""

    root: Path

    @property
    def coordination(self) -> Path:
        """All runtime data."""
        return self.root / "coordination"

    @property
    def events(self) -> Path:
        """The live logs."""
        return self.coordination / "events"

    @property
    def segments(self) -> Path:
        """The closed segments, those of the journal too."""
        return self.events / "segments"

    @property
    def queue(self) -> Path:
        """The drop box."""
        return self.events / "queue"

    @property
    def rejected(self) -> Path:
        """What could not become an event."""
        return self.events / "rejected"

    @property
    def archive(self) -> Path:
        """What Cortex's dispatcher and archiver have put away; nothing of ours."""
        return self.events / "archive"

    @property
    def data(self) -> Path:
        """Payloads too large for a line."""
        return self.events / "data"

    @property
    def state(self) -> Path:
        """Derived; may be deleted."""
        return self.coordination / "state"

    @property
    def config(self) -> Path:
        """Configuration."""
        return self.coordination / "config"

    @property
    def schemas(self) -> Path:
        """JSON Schemas of `data`, by type."""
        return self.coordination / "schemas"

    @property
    def layers(self) -> Path:
        """Jobs of several steps, a file each."""
        return self.coordination / "layers"

    @property
    def deliveries(self) -> Path:
        """The journal's live file."""
        return self.coordination / "deliveries.jsonl"

    @property
    def dead_letters(self) -> Path:
        """The dead-letter queue."""
        return self.coordination / "dead-letters.jsonl"

    @property
    def handlers(self) -> Path:
        """The handlers' folder."""
        return self.root / "scripts" / "events" / "handlers"

    @property
    def locked_append(self) -> Path:
        """Where this file exists, writers take `flock` around the append."""
        return self.config / "locked-append"

    @property
    def maintenance(self) -> Path:
        """Where this file exists, no schedule fires; what it says is the reason."""
        return self.coordination / "maintenance"

    def live(self, domain: str) -> Path:
        """The live log of a domain. The domain has been checked: it becomes a part of a path."""
        return self.events / f"{domain}{_LIVE_SUFFIX}"


def log_stem(domain: str) -> str:
    """The name that a domain's segments begin with."""
    return domain + _STEM_SUFFIX


def domain_of_live_name(name: str) -> str | None:
    """The domain whose live log has this file name, or None."""
    return domain_of_stem(name.removesuffix(".jsonl")) if name.endswith(_LIVE_SUFFIX) else None


def domain_of_stem(stem: str) -> str | None:
    """The domain whose segments begin with this name, or None."""
    domain = stem.removesuffix(_STEM_SUFFIX)
    return domain if domain != stem and _DOMAIN.match(domain) else None
