"""What the conformance kit must know of this provider: it has no vendor, so only where its files go, and what is quick."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from callsheet.testing import Wire

__all__ = ["LocalWire"]


class LocalWire(Wire):
    samples: Mapping[str, Mapping[str, Any]] = {
        "generate_video": {"seconds": 1, "size": "128x72"},
        "extend": {"seconds": 1},
    }

    def settings(self, folder: Path) -> Mapping[str, Any]:
        return {"data_dir": folder, "tokens_per_second": 0, "ice": "loopback"}
