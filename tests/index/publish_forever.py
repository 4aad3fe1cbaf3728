"""Publish snapshots one after another until killed: `publish_forever.py FOLDER`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from index.snapshot import Manifest, SnapshotFolder


def main(folder: Path) -> None:
    snapshots = SnapshotFolder(folder)
    number = snapshots.current().manifest.counts["number"] if snapshots.exists() else 0
    while True:
        number += 1
        payload = str(number).encode() * 20_000

        def write(target: Path, payload: bytes = payload) -> None:
            (target / "lexical").mkdir()
            for part in range(4):
                (target / "lexical" / f"part-{part}").write_bytes(payload)

        snapshots.publish(
            write,
            Manifest(
                model_name="test",
                model_fingerprint="test",
                dim=8,
                counts={"number": number},
                catalogue_hash=str(number),
                built_at=datetime.now(UTC),
            ),
        )
        print(number, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
