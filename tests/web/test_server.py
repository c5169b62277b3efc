"""The files that all local pages share."""

import hashlib
import re
from pathlib import Path

import trapmeter.web

STATIC = Path(trapmeter.web.__file__).parent / "static"


def test_htmx_has_the_checksum_in_its_readme() -> None:
    checksum = re.search(r"SHA-256: `(\w+)`", (STATIC / "htmx/README.md").read_text())
    assert checksum is not None
    assert hashlib.sha256((STATIC / "htmx/htmx.min.js").read_bytes()).hexdigest() == checksum[1]
    assert (STATIC / "htmx/LICENSE").read_text().startswith("Zero-Clause BSD")
