"""Section 4: put_file, where the file lands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from guestwire.drive.host import Host
from guestwire.judge.case import case
from guestwire.judge.outcome import expect_equal
from guestwire.suite.files import (
    NOBODY,
    OLD,
    Standing,
    errno_error,
    expect_file,
    expect_names,
    expect_stored,
    put_request,
    raw_request,
    upload_frames,
)

NO_STRING = {"number": "1", "true": "true", "list": '["x"]', "object": '{"x":"y"}'}


def folders(host: Host) -> tuple[str, str]:
    """A directory of its own to watch, and a directory in it."""
    box, inner = f"{host.scratch}/box", f"{host.scratch}/box/dir"
    host.witness.mkdir(box)
    host.witness.mkdir(inner)
    return box, inner


# ---- PUT-PATH


@case("PUT-PATH/relative", needs="start witness")
@pytest.mark.parametrize(
    ("path", "lands"),
    [("file", "dir/file"), ("./file", "dir/file"), ("sub/file", "dir/sub/file"), ("../file", "file"),
     ("../../x/./file", "../x/file")],
    ids=["plain", "dot", "below", "above", "sideways"],
)  # fmt: skip
def test_relative_path(host: Host, path: str, lands: str) -> None:
    box, inner = folders(host)
    host.witness.mkdir(f"{inner}/sub")
    host.witness.mkdir(f"{host.scratch}/x")
    expect_stored(host.start(cwd=inner).put(path, b"data"))
    expect_file(host, f"{box}/{lands}", b"data")


@case("PUT-PATH/lexical", needs="witness")
@pytest.mark.parametrize(
    "path",
    ["./file", "link/../file", "missing/../file", "plain/../file", "dir/inner/.././../file", "file/.", "file/x/..",
     "dir//../file"],
    ids=["dot", "link", "missing", "plain", "deep", "dot-last", "dots-last", "slashes"],
)  # fmt: skip
def test_dots_are_resolved_lexically(host: Host, path: str) -> None:
    """The file system would follow `link` before `..`, and would not find `missing` and `plain/..` at all."""
    box, inner = folders(host)
    host.witness.mkdir(f"{inner}/inner")
    host.witness.symlink("dir/inner", f"{box}/link")
    host.witness.write(f"{box}/plain", OLD)
    expect_stored(host.put(f"{box}/{path}", b"data"))
    expect_file(host, f"{box}/file", b"data")
    expect_names(host, box, "dir", "file", "link", "plain")
    expect_names(host, inner, "inner")


@case("PUT-PATH/root", needs="witness")
def test_parent_of_root(host: Host) -> None:
    expect_stored(host.put(f"/../../x/../..{host.scratch}/file", b"data"))
    expect_file(host, f"{host.scratch}/file", b"data")


@case("PUT-PATH/root", variant="relative", needs="start witness")
def test_relative_path_above_root(host: Host) -> None:
    expect_stored(host.start(cwd=host.scratch).put("../" * 60 + f"{host.scratch[1:]}/file", b"data"))
    expect_file(host, f"{host.scratch}/file", b"data")


@case("PUT-PATH/root", "PUT-DIR/no-name", variant="itself", twin="CONV-ONE/single:upload")
@pytest.mark.parametrize("path", ["/", "/..", "//x/../.."], ids=["root", "above", "detour"])
def test_root_is_a_directory(host: Host, path: str) -> None:
    host.error(host.put(path, b"data"), "is_directory", contains="directory")


@case("PUT-PATH/slashes", needs="witness")
@pytest.mark.parametrize(
    ("stands", "end"),
    [("nothing", "/"), ("nothing", "/.//"), ("file", "///"), ("link", "/")],
    ids=["one", "dot", "file", "link"],
)
def test_trailing_slashes(host: Host, stands: str, end: str) -> None:
    """Dropped before anything is looked up: not even a link at the final place is followed for them."""
    path, elsewhere = f"{host.scratch}/file", f"{host.scratch}/elsewhere"
    host.witness.write(elsewhere, OLD)
    if stands == "file":
        Standing(host, path)
    elif stands == "link":
        host.witness.symlink("elsewhere", path)
    expect_stored(host.put(path + end, b"data"))
    expect_file(host, path, b"data")
    expect_equal(host.witness.read(elsewhere), OLD, "content of the file elsewhere")


@case("PUT-PATH/empty", "ERR-CODE/invalid_argument", wide=True, twin="CONV-ONE/single:upload")
@pytest.mark.parametrize("path", ["absent", '""', "null"], ids=["absent", "empty", "null"])
def test_empty_path(host: Host, chunking: str, path: str) -> None:
    fields = {} if path == "absent" else {"path": path}
    conversation = host.connect()
    conversation.send_chunked(raw_request("put_file", **fields, size="3") + upload_frames(b"abc"), chunking)
    host.error(conversation.answer(), "invalid_argument", contains="path")


@case("PUT-PATH/type", "ERR-CODE/invalid_argument", wide=True, twin="CONV-ONE/single:upload")
@pytest.mark.parametrize("spelling", NO_STRING.values(), ids=NO_STRING)
def test_path_of_a_wrong_type(host: Host, chunking: str, spelling: str) -> None:
    conversation = host.connect()
    conversation.send_chunked(raw_request("put_file", path=spelling, size="3") + upload_frames(b"abc"), chunking)
    host.error(conversation.answer(), "invalid_argument", contains="path")


# ---- PUT-DIR


@case("PUT-DIR/into", needs="witness")
@pytest.mark.parametrize("end", ["", "/", "/."], ids=["plain", "slash", "dot"])
def test_into_a_directory(host: Host, end: str) -> None:
    box, inner = folders(host)
    expect_stored(host.put(inner + end, b"data", name="file", mode=0o755))
    expect_file(host, f"{inner}/file", b"data", 0o755)
    expect_names(host, inner, "file")
    expect_names(host, box, "dir")


@case("PUT-DIR/into", variant="replaces", needs="witness")
def test_into_a_directory_where_a_file_stands(host: Host) -> None:
    _, inner = folders(host)
    target = Standing(host, f"{inner}/file")
    expect_stored(host.put(inner, b"data", name="sub/file"))
    target.expect_replaced(b"data")


@case("PUT-DIR/into", variant="working-directory", needs="start witness")
@pytest.mark.parametrize("path", [".", "./", "sub/.."], ids=["dot", "slash", "detour"])
def test_into_the_working_directory(host: Host, path: str) -> None:
    _, inner = folders(host)
    expect_stored(host.start(cwd=inner).put(path, b"data", name="file"))
    expect_file(host, f"{inner}/file", b"data")


@case("PUT-DIR/into", variant="longest-name", needs="witness")
def test_longest_name_in_a_directory(host: Host) -> None:
    _, inner = folders(host)
    expect_stored(host.put(inner, b"data", name="n" * 255))
    expect_file(host, f"{inner}/{'n' * 255}", b"data")


@case(
    "PUT-DIR/into",
    "ERR-CODE/invalid_argument",
    "ERR-ERRNO/name",
    variant="name-too-long",
    needs="witness",
    twin="PUT-DIR/into:plain",
)
def test_name_too_long_for_a_directory(host: Host) -> None:
    _, inner = folders(host)
    errno_error(host, host.put(inner, b"data", name="n" * 256), "invalid_argument", "name")
    expect_names(host, inner)


@case("PUT-DIR/into", variant="name-unused", needs="witness")
@pytest.mark.parametrize("name", ["other", "..", ""], ids=["other", "dots", "empty"])
def test_name_counts_only_in_a_directory(host: Host, name: str) -> None:
    path = f"{host.scratch}/file"
    expect_stored(host.put(path, b"data", name=name))
    expect_file(host, path, b"data")
    expect_names(host, host.scratch, "file")


@case("PUT-DIR/link", "PUT-ATOMIC/link", needs="witness")
@pytest.mark.parametrize(
    "way", ["link", "link/", "to-link", "absolute"], ids=["link", "slash", "link-to-link", "absolute"]
)
def test_link_to_a_directory(host: Host, way: str) -> None:
    """The file lands in the directory, the link stays what it is."""
    box, inner = folders(host)
    host.witness.symlink("dir", f"{box}/link")
    host.witness.symlink("link", f"{box}/to-link")
    host.witness.symlink(inner, f"{box}/absolute")
    expect_stored(host.put(f"{box}/{way}", b"data", name="file"))
    expect_file(host, f"{inner}/file", b"data")
    expect_names(host, box, "absolute", "dir", "link", "to-link")
    for link in ("absolute", "link", "to-link"):
        expect_equal(host.witness.info(f"{box}/{link}").kind, "link", f"what stands at {link}")


@case("PUT-DIR/no-name", "ERR-CODE/is_directory", needs="witness", twin="PUT-DIR/into:plain")
@pytest.mark.parametrize(
    "fields",
    [{}, *({"name": name} for name in (None, "", ".", "..", "x/", "a/..", "a/.", "/"))],
    ids=["absent", "null", "empty", "dot", "dots", "slash-last", "dots-last", "dot-last", "slash"],
)
def test_directory_without_a_usable_name(host: Host, fields: dict[str, Any]) -> None:
    box, inner = folders(host)
    host.error(host.put(inner, b"data", **fields), "is_directory", contains="directory")
    expect_names(host, inner)
    expect_names(host, box, "dir")


@case(
    "PUT-DIR/no-name",
    "PUT-DIR/link",
    "ERR-CODE/is_directory",
    variant="spelt",
    needs="witness",
    twin="PUT-DIR/into:plain",
)
@pytest.mark.parametrize("path", ["dir/", "dir/.", "link", "link/"], ids=["slash", "dot", "link", "link-slash"])
def test_directory_spelt_otherwise_without_a_name(host: Host, path: str) -> None:
    box, inner = folders(host)
    host.witness.symlink("dir", f"{box}/link")
    host.error(host.put(f"{box}/{path}", b"data"), "is_directory", contains="directory")
    expect_names(host, inner)
    expect_names(host, box, "dir", "link")


# The name sent, with the scratch directory for {}, and the base name under which the file lands.
TRAVERSAL = {
    "up": ("../../x", "x"), "below": ("a/b", "b"), "absolute": ("{}/x", "x"), "absolute-up": ("{}/box/dir/../x", "x"),
    "slashes": ("..//x", "x"), "three-dots": ("...", "..."), "two-dots-and": ("..x", "..x"), "backslash": ("..\\x", "..\\x"),
    "blank": ("a/ ", " "), "newline": ("a\n/b\n", "b\n"), "through-file": ("dir/../../plain/x", "x"),
}  # fmt: skip


@case("PUT-DIR/traversal", needs="witness")
@pytest.mark.parametrize(("name", "base"), TRAVERSAL.values(), ids=TRAVERSAL)
def test_nothing_lands_outside(host: Host, name: str, base: str) -> None:
    box, inner = folders(host)
    expect_stored(host.put(inner, b"data", name=name.format(host.scratch)))
    expect_file(host, f"{inner}/{base}", b"data")
    expect_names(host, inner, base)
    expect_names(host, box, "dir")
    expect_names(host, host.scratch, "box")


@case("PUT-DIR/traversal", variant="link", needs="witness")
def test_link_in_the_directory_leads_nowhere(host: Host) -> None:
    """A link at the final place is replaced, not followed: the same for one to a file outside."""
    box, inner = folders(host)
    outside = Standing(host, f"{box}/outside")
    host.witness.symlink("../outside", f"{inner}/file")
    expect_stored(host.put(inner, b"data", name="file"))
    expect_file(host, f"{inner}/file", b"data")
    outside.expect_untouched()


@case("PUT-DIR/traversal", variant="link-to-directory", needs="witness", twin="PUT-DIR/into:plain")
def test_link_to_a_directory_in_the_directory_leads_nowhere(host: Host) -> None:
    """`path` decides the directory once; what stands under the base name does not lead to another one."""
    box, inner = folders(host)
    host.witness.mkdir(f"{box}/outside")
    host.witness.symlink("../outside", f"{inner}/name")
    answer = host.put(inner, b"data", name="name")
    expect_names(host, f"{box}/outside")
    expect_names(host, inner, "name")
    if answer.terminal.get("ok") is True:
        expect_file(host, f"{inner}/name", b"data")
    else:
        host.error(answer, "is_directory")
        expect_equal(host.witness.info(f"{inner}/name").kind, "link", "what stands under the name after an error")


@case("PUT-DIR/type", "ERR-CODE/invalid_argument", wide=True, twin="CONV-ONE/single:upload")
@pytest.mark.parametrize(
    ("path", "spelling"),
    [*(("dir", spelling) for spelling in NO_STRING.values()), ("dir/file", "1")],
    ids=[*NO_STRING, "file"],
)
def test_name_of_a_wrong_type(host: Host, chunking: str, path: str, spelling: str) -> None:
    """Before anything is touched: also where the name would not be needed."""
    box, inner = folders(host)
    raw = raw_request("put_file", path=json.dumps(f"{box}/{path}"), name=spelling, size="3")
    conversation = host.connect()
    conversation.send_chunked(raw + upload_frames(b"abc"), chunking)
    host.error(conversation.answer(), "invalid_argument", contains="name")
    expect_names(host, inner)


@case(
    "PUT-DIR/into",
    "ERR-CODE/is_directory",
    "ERR-ERRNO/directory",
    variant="directory-under-the-name",
    needs="witness",
    twin="PUT-DIR/into:plain",
)
def test_directory_under_the_base_name(host: Host) -> None:
    """The final place is taken by a directory: nothing is renamed over it or into it."""
    _, inner = folders(host)
    host.witness.mkdir(f"{inner}/name")
    errno_error(host, host.put(inner, b"data", name="name"), "is_directory", "directory")
    expect_names(host, inner, "name")
    expect_names(host, f"{inner}/name")


@case(
    "PUT-CLEAN/bad-target",
    "ERR-CODE/permission_denied",
    "ERR-ERRNO/permission",
    variant="not-searchable",
    needs="start witness root",
    twin="PUT-OK/content:1",
)
def test_directory_that_may_not_be_entered(host: Host) -> None:
    """Below a directory that the agent may not search nothing can be told apart, and nothing lands."""
    box, inner = folders(host)
    host.witness.chmod(box, 0o700)
    agent = host.start(uid=NOBODY)
    answer = agent.ask(put_request(inner, 0, name="file"))
    errno_error(agent, answer, "permission_denied", "permission")
    expect_names(host, inner)
