"""report.html in a real browser: it opens, filters, shows a failure's frames, and everybody can use it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from guestwire import cli
from guestwire.judge.ledger import checks
from guestwire.judge.outcome import CaseResult, Outcome
from guestwire.judge.verdict import Exit
from guestwire.report import document, folder, page, safe
from guestwire.report.timeline import Budget, conversations
from guestwire.tests.browser import NARROW, WIDE, ColorScheme, chromium, opened, violations
from guestwire.tests.harness import CONFORM, TINY, run, temporary
from guestwire.tests.reports import NASTY, cases, head, in_guest

EVIDENCE = "evidence/oracle/FRAME"


def transcript() -> dict[str, Any]:
    """As evidence holds it."""
    request = b'{"op":"ping"}'
    frame = {"what": "frame", "frames": 1}
    sent = frame | {"at": 0.001, "from": "host", "type": 1, "name": "JSON", "length": 13, "got": 13}
    came = frame | {"at": 0.002, "from": "agent", "type": 2, "name": "STDOUT", "length": 70_000, "got": 65_536}
    events = [
        sent | {"text": request.decode(), "payload": base64.b64encode(request).decode()},
        came | {"payload": base64.b64encode(bytes(range(256)) * 64).decode()},
        {"at": 0.003, "from": "agent", "what": "end of stream"},
    ]
    return {"conversations": [{"label": "warm-up", "events": events[:1]}, {"label": "", "events": events}]}


def written(place: Path) -> document.Document:
    """A report with 600 cases, one failure with evidence, and one earlier report."""
    made = cases(600)
    made[40].outcome, made[40].expected, made[40].actual = Outcome.TIMEOUT.value, "an end", "none within 5 s"
    made[41].broken = {"ERR-CODE/known": ["a known code", "teapot"]}
    composed = document.compose(head(), made, Exit.RED)
    composed["cases"][2]["evidence"] = EVIDENCE
    composed["footer"]["digest"] = document.digest(composed["cases"])
    earlier = document.compose(head(started="2026-11-20T12:00:00Z"), cases(590), Exit.PARTIAL)
    (place / EVIDENCE).mkdir(parents=True)
    (place / EVIDENCE / "transcript.json").write_text(json.dumps(transcript()))
    folder.fill(place, composed, [earlier])
    return composed


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report's folder."""
    made = tmp_path_factory.mktemp("report")
    written(made)
    return made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def shown(opened_page: Page) -> str:
    return opened_page.locator("#shown").inner_text()


def test_open_filter_and_open_a_failure(browser: Browser, place: Path) -> None:
    with opened(browser, (place / "report.html").as_uri()) as view:
        assert view.locator("#verdict").inner_text() == "red"
        assert shown(view) == "600 cases of 600, 3 failures"
        view.locator("[name=agent]").select_option("oracle")
        view.locator("[name=transport]").select_option("unix")
        expect(view.locator("#shown")).to_have_text("150 cases of 600, 1 failure")
        assert view.locator("thead th.agent").all_inner_texts() == ["oracle", "unix"]
        failure = view.locator("#failures .case")
        failure.locator("summary").first.click()
        assert safe.printable(NASTY) in failure.locator(".pair dd").nth(1).inner_text()
        frames = failure.locator("ol.timeline").nth(1).locator("li")
        assert [text.splitlines()[:2] for text in frames.all_inner_texts()] == [
            ["0.0010 s", "host → agent JSON, 13 bytes"],
            ["0.0020 s", "agent → host STDOUT, 70,000 bytes, of which 65,536 came"],
            ["0.0030 s", "agent → host end of stream"],
        ]
        assert frames.nth(0).locator("pre").inner_text() == '{"op":"ping"}'
        assert frames.nth(1).locator("pre").inner_text().splitlines()[2].split()[:3] == ["0020", "20", "21"]
        assert "65,280 bytes more" in frames.nth(1).inner_text()
        view.get_by_role("button", name="Clear").click()
        expect(view.locator("#shown")).to_have_text("600 cases of 600, 3 failures")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("outcome", "TIMEOUT", "1 case of 600, 1 failure"),
        ("outcome", "bad", "3 cases of 600, 3 failures"),
        ("outcome", "COULD-NOT-RUN", "1 case of 600, 0 failures"),
        ("outcome", "good", "596 cases of 600, 0 failures"),
        ("text", "teapot", "1 case of 600, 1 failure"),
        ("text", "  WITHIN none 5 ", "1 case of 600, 1 failure"),
        ("text", "nothing like that", "0 cases of 600, 0 failures"),
    ],
)
def test_filters(browser: Browser, place: Path, name: str, value: str, says: str) -> None:
    with opened(browser, (place / "report.html").as_uri()) as view:
        field = view.locator(f"[name={name}]")
        if name == "text":
            field.fill(value)
        else:
            field.select_option(value)
        expect(view.locator("#shown")).to_have_text(says)


def test_levels(browser: Browser, place: Path) -> None:
    levels = [checks()[case.checks[0]].level for case in cases(600)]
    with opened(browser, (place / "report.html").as_uri()) as view:
        for level, broken in (("MUST", 0), ("SHOULD", 1)):  # a case that is MUST broke a SHOULD
            view.locator("[name=level]").select_option(level)
            expect(view.locator("#shown")).to_contain_text(f"{levels.count(level) + broken} cases of 600")


def test_keyboard(browser: Browser, place: Path) -> None:
    """The matrix is one stop of Tab; arrows walk in it; Enter opens a cell and Escape closes it, back at the cell."""
    with opened(browser, (place / "report.html").as_uri()) as view:
        assert view.locator("td button[tabindex='0']").count() == 1
        view.locator("td button[tabindex='0']").focus()
        focused = "document.activeElement.getAttribute('aria-label')"
        start = view.evaluate(focused)
        assert start.startswith("FRAME-TYPES, agent unix: ")
        for key in ("ArrowRight", "ArrowDown", "ArrowUp", "ArrowRight"):
            view.keyboard.press(key)
        here = view.evaluate(focused)
        assert here.startswith("FRAME-TYPES, oracle unix: ✗ 1/")
        view.keyboard.press("Enter")
        dialog = view.locator("dialog")
        assert dialog.get_attribute("open") is not None
        assert dialog.locator("h2").inner_text() == "FRAME-TYPES: oracle over unix"
        summary = dialog.locator("summary").first
        summary.focus()
        view.keyboard.press("Enter")
        expect(dialog.locator(".pair").first).to_be_visible()
        view.keyboard.press("Escape")
        expect(dialog).not_to_be_visible()
        assert view.evaluate(focused) == here
        view.keyboard.press("End")
        assert view.evaluate(focused) != here


def test_trend(browser: Browser, place: Path) -> None:
    with opened(browser, (place / "report.html").as_uri()) as view:
        runs = view.locator("#runs li")
        assert [text.split()[:3] for text in runs.all_inner_texts()] == [
            ["2026-11-20", "12:00:00", "partial"], ["2026-11-21", "12:00:00", "red"],
        ]  # fmt: skip
        assert [text.strip() for text in view.locator("#changes summary").all_inner_texts()] == [
            "Fail since the last run: 2", "New cases: 10",
        ]  # fmt: skip


@pytest.mark.parametrize(("scheme", "size"), [("light", NARROW), ("dark", WIDE)], ids=["light-narrow", "dark-wide"])
def test_for_everybody(browser: Browser, place: Path, scheme: ColorScheme, size: ViewportSize) -> None:
    """Whatever is unfolded: no horizontal scrolling, and axe-core finds nothing serious."""
    with opened(browser, (place / "report.html").as_uri(), scheme, size) as view:
        view.locator("[name=text]").fill("frame-")  # axe-core takes seconds for the whole matrix
        expect(view.locator("#shown")).to_contain_text("3 failures")
        view.locator("#about summary").click()
        view.locator("#failures .case > summary", has_text="FAIL").first.click()
        view.locator("#failures details details summary").click()
        colour = view.evaluate("getComputedStyle(document.body).backgroundColor").removeprefix("rgb(").split(",")[0]
        assert (int(colour) < 60) == (scheme == "dark")
        wide = "document.documentElement.scrollWidth"
        assert view.evaluate(wide) <= size["width"]
        assert violations(view) == []
        view.locator("td button.bad").first.click()
        view.locator("dialog summary").first.click()
        assert view.evaluate(wide) <= size["width"]
        assert view.locator("dialog").evaluate("box => box.scrollWidth - box.clientWidth") == 0
        assert violations(view, "dialog") == []


def test_large_report_stays_fast_and_small(browser: Browser, tmp_path: Path) -> None:
    """Every case of two agents on all transports, a thousand of them failed."""
    made = cases(13_000)
    for each in made[::13]:
        each.outcome, each.expected, each.actual = Outcome.FAIL.value, "a pong", NASTY * 4
    path = tmp_path / "report.html"
    path.write_text(page.render(document.compose(head(), made, Exit.RED)), encoding="utf-8")
    assert path.stat().st_size < 3_000_000
    with opened(browser, path.as_uri()) as view:
        assert shown(view) == "13,000 cases of 13,000, 1,001 failures"
        view.locator("[name=text]").fill("frame-types/json")
        expect(view.locator("#shown")).not_to_contain_text("13,000 cases of")
        spent = view.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert spent < 10_000  # milliseconds; 600 on a quiet machine


HOSTILE = f"<img src=x onerror='window.hurt=1'><script>window.hurt=1</script>{NASTY}"


def test_what_an_agent_says_is_text(browser: Browser, tmp_path: Path) -> None:
    """In whatever place it says it, and at whatever length."""
    made = cases(40, (HOSTILE, "oracle"))
    made[0].outcome, made[0].expected, made[0].actual = Outcome.CRASH.value, HOSTILE, HOSTILE + "x" * 1_000_000
    made[4].broken = {"ERR-CODE/known": [HOSTILE, HOSTILE * 10_000], HOSTILE: ["", ""]}
    about = head((HOSTILE, "oracle"), command=HOSTILE)
    for agent in about.agents:
        agent |= {"agent_version": HOSTILE, "connectable": f"exec:{HOSTILE}"}
    written = document.compose(about, made, Exit.RED, reasons=[HOSTILE, "x" * 1_000_000])
    written["cases"][0]["evidence"] = EVIDENCE
    said = transcript()
    for each in said["conversations"]:
        each["label"] = HOSTILE
        each["events"][0] |= {"text": HOSTILE * 10_000, "name": HOSTILE}
    (tmp_path / EVIDENCE).mkdir(parents=True)
    (tmp_path / EVIDENCE / "transcript.json").write_text(json.dumps(said))
    folder.fill(tmp_path, written, [written])
    path = tmp_path / "report.html"
    assert path.stat().st_size < 300_000
    with opened(browser, path.as_uri(), size=NARROW) as view:
        assert view.locator("#reasons li").first.inner_text() == safe.line(HOSTILE)
        view.locator("#about summary").click()
        for summary in view.locator("#changes summary, #failures .case > summary, .transcript summary").all():
            summary.click()
        while view.locator("details:not([open]) > summary:visible").count():
            view.locator("details:not([open]) > summary:visible").first.click()
        view.locator("td button.bad").first.click()
        view.locator("dialog summary").first.click()
        assert view.locator("dialog .pair dd").nth(1).inner_text().startswith(safe.printable(HOSTILE))
        assert view.evaluate("window.hurt") is None
        assert view.locator("img, script:not(#data), body b").count() == 1
        assert view.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


def test_page_of_a_real_run(browser: Browser) -> None:
    """A failure's frames come from the evidence that the run kept."""
    words = ("run", f"exec:{TINY} --bare", "--transport=unix", "--case=PING", "--jobs=1")
    with temporary() as scratch:
        assert run(scratch, *CONFORM, *words).status == 1
        with opened(browser, (scratch.with_suffix(".report") / "report.html").as_uri()) as view:
            assert view.locator("#verdict").inner_text() == "red"
            view.locator("#failures .case > summary").click()
            frames = view.locator("#failures .transcript > ol.timeline").first.locator("li").all_inner_texts()
            assert any("host → agent JSON" in text and '"op":"ping"' in text for text in frames)
            assert any("agent → host JSON" in text and "pong" in text for text in frames)
            assert "--case PING" in view.locator("#failures .body > pre").inner_text()


@pytest.mark.parametrize(("verdict", "status"), [("partial", Exit.PARTIAL), ("harness-bug", Exit.HARNESS_BUG)])
def test_reasons(browser: Browser, tmp_path: Path, verdict: str, status: Exit) -> None:
    made = [CaseResult("PING", "agent", "unix", ["PING"])]
    path = tmp_path / "report.html"
    path.write_text(page.render(document.compose(head(), made, status, reasons=["this", "that"])), encoding="utf-8")
    with opened(browser, path.as_uri()) as view:
        assert view.locator("#verdict").inner_text() == verdict
        assert view.locator("#verdict.good").count() == 0
        assert view.locator("#reasons li").all_inner_texts() == ["this", "that"]
        assert violations(view, "header") == []


# ---- without a browser


def test_one_file_that_asks_for_nothing(place: Path) -> None:
    text = (place / "report.html").read_text(encoding="utf-8")
    for mark in ("http:", "https:", '<link rel="stylesheet', "<script src", "@import", "url("):
        assert mark not in text
    assert text.count("</script>") == 2  # nothing that an agent says ends one


def test_the_guest_among_the_facts() -> None:
    said = (
        "qemu-vhost-user: a guest of 256 MiB on QEMU (x86_64, tcg: no /dev/kvm), Linux 6.1.0-56-cloud-amd64; 3.6 s from QEMU's "
        "start to the first answered ping, 0.02 s of it the agent's; idle, it holds 124 KiB (RSS), 117 KiB (PSS)"
    )
    made = in_guest()
    assert json.dumps(["Guest of agent", said], separators=(",", ":")) in page.render(made)
    for name in ("agent_seconds", "rss_kib", "pss_kib"):  # of an agent that does not tell
        del made["agents"][0]["guest"][name]
    assert said.partition(", 0.02")[0] + '"]' in page.render(made)
    assert "Guest of" not in page.render(document.compose(head(), [], Exit.PARTIAL))


def test_transcripts_have_a_budget(place: Path) -> None:
    budget = Budget(1)
    assert conversations(place, EVIDENCE, budget)
    assert conversations(place, EVIDENCE, budget) == []


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"conversations": [{}]}', '{"conversations": [{"label": "", "events": [{}]}]}']
)
def test_damaged_transcript(tmp_path: Path, content: str) -> None:
    """Is left out: the page still has what was expected and what came."""
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence/transcript.json").write_text(content)
    assert conversations(tmp_path, "evidence", Budget()) == []


def test_evidence_elsewhere_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "transcript.json").write_text(json.dumps(transcript()))
    assert conversations(tmp_path / "report", "..", Budget()) == []


def test_checks_that_the_ledger_no_longer_has() -> None:
    made = cases(4)
    made[0].checks, made[1].broken = ["GONE/old"], {"GONE-TOO": ["a", "b"]}
    assert '"GONE"' in page.render(document.compose(head(), made, Exit.RED))


def test_command_writes_the_page(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "page.html"
    one = str(place / "report.json")
    assert cli.main(["report", one, "--html", str(out), "--history", one, one]) == 1
    assert out.read_text().count('"started"') == 3
    (tmp_path / "cut.json").write_text(document.unfinished())
    out.unlink()
    assert cli.main(["report", one, "--html", str(out), "--history", str(tmp_path / "cut.json")]) == 2
    assert cli.main(["report", one, "--history", one]) == 2
    assert not out.exists()
    assert len(capsys.readouterr().err.splitlines()) == 2
