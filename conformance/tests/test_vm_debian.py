"""A private apt takes only Debian's own main section of this release from the system's sources."""

from __future__ import annotations

from guestwire.vm import debian

DEB822 = """Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://third.example/apt
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
"""

ONE_LINE = """# deb http://off.example/debian bookworm main
deb http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/s bookworm-security main
deb [signed-by=/etc/apt/keyrings/third.gpg] http://third.example/apt bookworm main
deb http://third.example/pg bookworm-pgdg main
deb http://mirror.example/debian bookworm contrib
deb-src http://mirror.example/debian bookworm main
"""


def paragraphs(entries: list[dict[str, str]]) -> list[str]:
    """What is taken of these entries."""
    return [text for entry in entries if (text := debian.debian_source(entry, "bookworm", "deb-src"))]


def test_deb822() -> None:
    assert paragraphs(debian.deb822(DEB822)) == [
        "Types: deb-src\n"
        "URIs: http://mirror.example/debian\n"
        "Suites: bookworm bookworm-updates\n"
        "Components: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    ]


def test_one_line() -> None:
    assert paragraphs(debian.one_line(ONE_LINE)) == [
        "Types: deb-src\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main\n",
        "Types: deb-src\n"
        "URIs: http://mirror.example/s\n"
        "Suites: bookworm-security\n"
        "Components: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
    ]
