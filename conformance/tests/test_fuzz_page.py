"""A campaign with the real libFuzzer on a target with two planted defects, and its page in a real browser."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ViewportSize

from guestwire.tests.browser import NARROW, WIDE, ColorScheme, chromium, opened, violations
from guestwire.tests.test_fuzz_campaign import ROOT, campaign, targets

pytestmark = pytest.mark.timeout(300)  # quiet, 25 s: a compiler and a campaign before the first test
SOURCE = """
#include "fuzz.h"
#include "wire/frame.h"
static int over(const uint8_t *bytes, size_t size)
{
    return size > 9 && bytes[0] == 3 ? bytes[size] : 0;
}
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame_decoder decoder = {0};
    uint8_t *copy = fuzz_copy(data, size);
    size_t consumed;
    volatile int seen = frame_decode(&decoder, copy, size, &consumed) == FRAME_ERROR;
    FUZZ_CHECK(size < 3 || data[0] != 'B', "no <script> in <b>");
    seen += over(copy, size);
    free(copy);
    return 0;
}
"""
FLAGS = ("-std=gnu11", "-D_GNU_SOURCE=", "-Iagent", "-Ifuzz", "-O1", "-g")
FUZZER = ("-fsanitize=address,undefined,fuzzer", "-fno-sanitize-recover=all")
MEASURED = ("-fprofile-instr-generate", "-fcoverage-mapping", "fuzz/replay.c")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, list[str]]:
    """The campaign's place, exit status and output."""
    place = targets(tmp_path_factory.mktemp("campaign"))
    source = place / "src/fuzz_planted.c"
    source.write_text(SOURCE)
    (place / "build/coverage").mkdir()
    for made, flags in (("fuzz_planted", FUZZER), ("coverage/fuzz_planted", MEASURED)):
        words = ["clang", *FLAGS, *flags, str(source), "agent/wire/frame.c", "-o", str(place / "build" / made)]
        subprocess.run(words, cwd=ROOT, check=True, timeout=60)
    status, told, _ = campaign(place, "run", "--seconds=12", "--jobs=2")
    return place, status, told


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def test_both_defects_are_found_and_break_it_again(found: tuple[Path, int, list[str]]) -> None:
    place, status, told = found
    assert (status, told[-1]) == (1, "0 passed, 1 failed, 0 skipped")
    keys = {line.split(": ", 1)[1].partition(" (")[0] for line in told if line.startswith("FOUND")}
    assert keys == {"property no <script> in <b>", "heap-buffer-overflow < over"}
    replays = [line.split()[1:] for line in told if line.startswith("  replay")]
    assert len(replays) == 2
    for words in replays:
        assert Path(words[1]).parent == place / "build/findings/fuzz_planted"
        assert Path(words[1]).stat().st_size <= 12  # minimised
        assert subprocess.run(words, capture_output=True, timeout=60, check=False).returncode != 0
    assert not any("seeds" in line for line in told if "failed" in line)


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_page(
    browser: Browser, found: tuple[Path, int, list[str]], scheme: ColorScheme, size: ViewportSize
) -> None:
    with opened(browser, (found[0] / "build/report.html").as_uri(), scheme, size) as view:
        assert view.locator("#verdict").inner_text() == "2 findings"
        assert view.locator("#findings details").count() == 2
        for summary in view.locator("summary").all():  # by keyboard alone
            summary.press("Enter")
        assert view.locator("details:not([open])").count() == 0
        assert "property no <script> in <b>" in view.locator("#findings").inner_text()
        assert "fuzz/regressions/fuzz_planted/" in view.locator("#findings").inner_text()
        assert view.locator("svg polyline").count() == 1
        assert "agent/wire/frame.c" in view.locator("#missed").inner_text()
        assert "frame_encode_header" in view.locator("#missed pre").inner_text()  # that nothing calls
        assert view.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert violations(view) == []
