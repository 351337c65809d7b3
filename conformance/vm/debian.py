"""A private apt: Debian's packages and sources for any architecture, with apt's own signature checks. No root is needed and the
system's lists stay as they are. Where things are fetched from is derived from the system's own Debian sources.

ci/fetch-cjson uses it before anything is installed: nothing but the standard library here, and no module of this project.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

Entry = dict[str, str]  # one source, by the names of deb822 in lower case


class NoSources(Exception):
    """This system has no apt, or no Debian sources: one line."""


def codename() -> str:
    """Debian's release name, "bookworm"."""
    found = re.search(r'^VERSION_CODENAME="?(\w+)', Path("/etc/os-release").read_text(), re.MULTILINE)
    return found[1] if found else ""


def deb822(text: str) -> list[Entry]:
    """The entries of a .sources file."""
    entries = []
    for paragraph in re.split(r"\n\s*\n", text):
        lines = "\n".join(line for line in paragraph.splitlines() if not line.startswith("#"))
        fields = re.findall(r"^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)", lines, re.MULTILINE)
        entries.append({name.lower(): value for name, value in fields})
    return entries


def one_line(text: str) -> list[Entry]:
    """The entries of a .list file."""
    entries = []
    for match in re.finditer(r"^\s*deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+([^#\n]+)", text, re.MULTILINE):
        options, uri, suite, components = match.groups()
        entry = {"types": "deb", "uris": uri, "suites": suite, "components": components}
        entry |= {name.lower(): value for name, _, value in (word.partition("=") for word in (options or "").split())}
        entries.append(entry)
    return entries


def system_sources() -> list[Entry]:
    """Every source that apt on this machine is set up with. Raises NoSources without apt."""
    try:
        shell = subprocess.check_output(
            ["apt-config", "shell", "list", "Dir::Etc::sourcelist/f", "parts", "Dir::Etc::sourceparts/d"], text=True
        )
    except FileNotFoundError:
        raise NoSources("this system has no apt") from None
    place = dict(re.findall(r"^(\w+)='(.*)'$", shell, re.MULTILINE))
    entries = []
    for path in [Path(place["list"]), *sorted(Path(place["parts"]).glob("*"))]:
        if path.suffix == ".sources":
            entries += deb822(path.read_text())
        elif path.suffix == ".list" and path.exists():
            entries += one_line(path.read_text())
    return entries


def debian_source(entry: Entry, release: str, types: str) -> str | None:
    """The entry as a paragraph of these types ("deb", "deb-src"); None if it is not Debian's own main section of this
    release."""
    wanted = {release, f"{release}-updates", f"{release}-security"}
    suites = [suite for suite in entry.get("suites", "").split() if suite in wanted]
    keys = entry.get("signed-by", "")
    disabled = entry.get("enabled", "yes").strip().lower() in {"no", "false", "0"}
    foreign = keys and "debian-archive" not in keys
    if disabled or foreign or not suites or "main" not in entry.get("components", "").split():
        return None
    fields = {"Types": types, "URIs": entry["uris"], "Suites": " ".join(suites), "Components": "main"}
    for name in ("Signed-By", "Trusted", "Check-Valid-Until"):
        if name.lower() in entry:
            fields[name] = entry[name.lower()]
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


def configure(apt: Path, types: str, architecture: str = "") -> Path:
    """Lay out a private apt in the folder `apt`, for the system's architecture or another one ("arm64"). Return: its
    configuration file. Raises NoSources."""
    paragraphs = [text for entry in system_sources() if (text := debian_source(entry, codename(), types))]
    if not paragraphs:
        raise NoSources("this system has no Debian sources")
    for folder in ("lists/partial", "archives/partial", "sources"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    (apt / "sources/debian.sources").write_text("\n".join(paragraphs))
    (apt / "status").touch()
    configuration = apt / "apt.conf"
    configuration.write_text(
        f'Dir::State::lists "{apt}/lists";\n'
        f'Dir::Cache "{apt}";\n'
        'Dir::Etc::sourcelist "/dev/null";\n'
        f'Dir::Etc::sourceparts "{apt}/sources";\n'
        'Acquire::Retries "3";\n'
        'Acquire::Languages "none";\n'
        'APT::Update::Error-Mode "any";\n'
        # nothing of what the system has installed or prefers counts for another machine
        + (
            f'APT::Architecture "{architecture}";\n#clear APT::Architectures;\nAPT::Architectures {{ "{architecture}"; }};\n'
            f'Dir::State::status "{apt}/status";\nDir::Etc::preferences "/dev/null";\nDir::Etc::preferencesparts "/dev/null";\n'
            if architecture
            else ""
        )
        # root's downloads would otherwise drop to a user who may not be able to reach this folder
        + ('APT::Sandbox::User "root";\n' if os.geteuid() == 0 else "")
        # what the system does after its own updates is not for these
        + "#clear APT::Update;\n#clear DPkg::Post-Invoke;\n"
    )
    return configuration


def apt(tool: str, configuration: Path, *words: str, cwd: Path) -> str:
    """One run of apt-get or apt-cache. Return: what it printed. Raises subprocess.CalledProcessError, whose `stdout` says
    why."""
    return subprocess.run(
        [tool, "-qq", "-c", configuration, *words],
        cwd=cwd,
        check=True,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ).stdout
