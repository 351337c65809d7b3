"""The host's end of vsock streams by itself: credit, counters that wrap, ports, what is forgotten when."""

from __future__ import annotations

import pytest

from guestwire.vm import vsock
from guestwire.vm.packet import BOTH, CREDIT_UPDATE, HEADER, MODULO, RECEIVE, REQUEST, RESPONSE, RST, RW, SEND, SHUTDOWN
from guestwire.vm.vsock import BUFFER, Connection, Event, State, Switch

CID = 3


def say(
    switch: Switch, connection: Connection, operation: int, *, length: int = 0, flags: int = 0, credit: tuple[int, int]
) -> Event:
    """A packet of the guest's on a connection; `credit` is its buffer and what it has disposed of."""
    header = HEADER.pack(
        CID, connection.host_cid, connection.guest_port, connection.host_port, length, 1, operation, flags, *credit
    )
    event, found, got = switch.receive(header, length)
    assert found is connection
    assert got == length
    return event


def opened(alloc: int = 1000) -> tuple[Switch, Connection]:
    switch = Switch(CID)
    connection = switch.open(1024)
    assert say(switch, connection, RESPONSE, credit=(alloc, 0)) is Event.OPENED
    switch.outgoing.clear()
    return switch, connection


def sent(switch: Switch) -> list[tuple[int, int, int]]:
    """Operation, flags and fwd_cnt of what is to be sent."""
    packets = [HEADER.unpack(packet) for packet in switch.outgoing]
    switch.outgoing.clear()
    return [(packet[6], packet[7], packet[9]) for packet in packets]


def test_credit_is_used_up_and_comes_back() -> None:
    switch, connection = opened()
    connection.data(600)
    assert connection.credit == 400
    connection.data(400)
    assert connection.credit == 0
    assert say(switch, connection, CREDIT_UPDATE, credit=(1000, 1000)) is Event.CREDIT
    assert connection.credit == 1000
    say(switch, connection, CREDIT_UPDATE, credit=(10, 900))  # a buffer that shrinks below what is in it
    assert connection.credit == 0


def test_counters_wrap() -> None:
    switch, connection = opened()
    connection.sent = MODULO - 99
    say(switch, connection, CREDIT_UPDATE, credit=(1000, MODULO - 99))
    connection.data(1000)
    assert connection.credit == 0
    say(switch, connection, CREDIT_UPDATE, credit=(1000, 900))
    assert connection.credit == 1000


def test_a_guest_that_lies_about_what_it_took_gets_no_more_for_it() -> None:
    switch, connection = opened()
    connection.data(10)
    say(switch, connection, CREDIT_UPDATE, credit=(1000, 500))
    assert connection.credit == 0


def test_an_update_once_a_quarter_is_taken() -> None:
    switch, connection = opened()
    say(switch, connection, RW, length=BUFFER // 4, credit=(1000, 0))
    connection.taken(BUFFER // 4 - 1)
    assert sent(switch) == []
    connection.taken(1)
    assert sent(switch) == [(CREDIT_UPDATE, 0, BUFFER // 4)]


@pytest.mark.parametrize("size", [BUFFER, BUFFER + 1])
def test_the_guest_may_fill_the_buffer_and_no_more(size: int) -> None:
    switch, connection = opened()
    event = say(switch, connection, RW, length=size, credit=(1000, 0))
    assert event is (Event.DATA if size == BUFFER else Event.ENDED)
    assert (connection.address in switch.connections) is (size == BUFFER)


def test_data_after_the_guests_own_end_is_refused() -> None:
    switch, connection = opened()
    assert say(switch, connection, SHUTDOWN, flags=SEND, credit=(1000, 0)) is Event.SHUT
    assert say(switch, connection, RW, length=1, credit=(1000, 0)) is Event.ENDED
    assert sent(switch) == [(RST, 0, 0)]


def test_each_half_is_shut_once() -> None:
    switch, connection = opened()
    connection.shutdown(SEND)
    connection.shutdown(SEND)
    assert connection.credit == 1000
    connection.shutdown(RECEIVE)
    connection.shutdown(BOTH)
    assert [packet[:2] for packet in sent(switch)] == [(SHUTDOWN, SEND), (SHUTDOWN, BOTH)]
    assert connection.state is State.CLOSING
    assert connection.credit == 0
    assert say(switch, connection, RW, length=5, credit=(1000, 0)) is Event.NOTHING
    assert say(switch, connection, RST, credit=(1000, 0)) is Event.ENDED
    assert switch.connections == {}


def test_both_close_at_once() -> None:
    switch, connection = opened()
    connection.shutdown(BOTH)
    assert say(switch, connection, SHUTDOWN, flags=BOTH, credit=(1000, 0)) is Event.ENDED
    assert [packet[0] for packet in sent(switch)] == [SHUTDOWN, RST]


def test_ports_are_used_again_but_not_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vsock, "_LAST_PORT", (1 << 30) + 3)
    switch = Switch(CID)
    ports = [switch.open(1).host_port for _ in range(4)]
    assert sorted(ports) == [(1 << 30) + number for number in range(4)]
    switch.connections[(2, ports[1], 1)].reset()
    assert switch.open(1).host_port == ports[1]
    with pytest.raises(ValueError, match="there is a connection"):
        switch.open(1, host_port=ports[0])


def test_what_the_guest_has_not_seen_survives_its_restart() -> None:
    switch, connection = opened()
    waiting = switch.open(1024)
    connection.shutdown(SEND)
    assert switch.clear() == [connection]
    assert connection.state is State.ENDED
    assert list(switch.connections.values()) == [waiting]
    assert [packet[0] for packet in sent(switch)] == [REQUEST]


def test_a_request_on_top_of_a_connection_ends_it() -> None:
    switch, connection = opened()
    assert say(switch, connection, REQUEST, credit=(1000, 0)) is Event.ENDED
    assert [packet[0] for packet in sent(switch)] == [RST]


def test_a_request_that_the_guest_has_not_seen_is_taken_back() -> None:
    switch = Switch(CID)
    switch.open(1).reset()
    assert not switch.outgoing
    seen = switch.open(1)
    switch.outgoing.clear()
    seen.reset()
    assert [packet[0] for packet in sent(switch)] == [RST]
