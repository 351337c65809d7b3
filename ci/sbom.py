"""The bill of materials of a release, in SPDX 2.3's JSON. The same sources give the same bytes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

HOME = "https://guestwire.invalid/spdx"  # a name space, no place
NONE = "NOASSERTION"


class Source(NamedTuple):
    """What is built. `commit`: "" where it is unknown; `when`: seconds since 1970 of the commit."""

    version: str
    commit: str
    when: int


def _part(name: str, version: str, licence: str, copyright_text: str, **more: Any) -> dict[str, Any]:
    return {
        "SPDXID": f"SPDXRef-{name}",
        "name": name,
        "versionInfo": version,
        "downloadLocation": NONE,
        "filesAnalyzed": False,
        "licenseConcluded": licence,
        "licenseDeclared": licence,
        "copyrightText": copyright_text,
        **more,
    }


def _packaged(folder: Path) -> str:
    """cJSON's version as Debian has it, or as its header says where it is not Debian's."""
    changelog = folder / "debian/changelog"
    if changelog.is_file() and (found := re.match(r"cjson \((\S+)\)", changelog.read_text(encoding="utf-8"))):
        return found[1]
    numbers = re.findall(r"#define CJSON_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", (folder / "cJSON.h").read_text())
    return ".".join(numbers)


def document(source: Source, binaries: Sequence[Path], tree: Path, cjson_folder: Path) -> str:
    """The document, of the binaries that were built in `tree` with that cJSON."""
    zig = re.search(r'"ziglang==([\d.]+)"', (tree / "pyproject.toml").read_text())
    assert zig is not None
    cjson = _packaged(cjson_folder)
    parts = [
        _part("cJSON", cjson, "MIT", "Dave Gamble and cJSON contributors"),
        _part("musl", f"as bundled with zig {zig[1]}", "MIT", "Rich Felker, et al."),
    ]
    if "-" in cjson:
        reference = f"pkg:deb/debian/cjson@{cjson.replace('+', '%2B')}?arch=source"
        parts[0]["externalRefs"] = [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": reference}
        ]
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", f"SPDXRef-{path.name}") for path in binaries]
    for path in binaries:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        parts.append(
            _part(
                path.name,
                source.version,
                "MIT",
                "the guestwire authors",
                packageFileName=path.name,
                checksums=[{"algorithm": "SHA256", "checksumValue": digest}],
                primaryPackagePurpose="APPLICATION",
                sourceInfo=f"commit {source.commit}" if source.commit else "a folder without git",
            )
        )
        relations += [(f"SPDXRef-{path.name}", "STATIC_LINK", f"SPDXRef-{name}") for name in ("cJSON", "musl")]
    content = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"smolvm-guest-agent-{source.version}",
        "documentNamespace": f"{HOME}/{_digest(parts)}",
        "creationInfo": {
            "created": datetime.fromtimestamp(source.when, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Tool: guestwire-ci-release", f"Tool: zig-{zig[1]}"],
        },
        "packages": parts,
        "relationships": [
            {"spdxElementId": element, "relationshipType": kind, "relatedSpdxElement": other}
            for element, kind, other in relations
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _digest(parts: list[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
