"""Every limit of a channel, just below it, at it, and above it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registrar.errors import (
    ChunkTooLarge,
    DecodingError,
    MessageTooLarge,
    Misuse,
    Rejected,
    SecurityChecksFailed,
)
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.certificates import split_chain
from registrar.ua.channel import ChannelState
from registrar.ua.events import OpenReceived
from registrar.ua.limits import (
    MAX_CHAIN_LENGTH,
    MAX_OPEN_BLOCKS,
    MAX_OPEN_SIZE,
    MAX_POLICY_URI,
    MAX_SMALL_BLOCKS,
    ChannelLimits,
)
from registrar.ua.open_chunk import OpenHeader, count_blocks, parse_header
from registrar.ua.security_policy import BASIC256SHA256, NONE, URI_PREFIX
from registrar.ua.transport import HEADER
from tests.ua.pairing import (
    Mode,
    greeted,
    make_pair,
    open_pair,
    plain_chunk,
)

SMALL = ChannelLimits(receive_buffer_size=8192, max_message_size=20_000, max_chunk_count=2)
pytestmark = pytest.mark.clause("OPC 10000-6 §7.1.2")


@pytest.mark.parametrize(("size", "fits"), [(8191, True), (8192, True), (8193, False)])
def test_a_chunk_longer_than_our_buffer_is_refused_by_its_header(
    size: int, fits: bool, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(NONE, Mode.None_, client, server, server_limits=SMALL)
    header = HEADER.pack(b"MSG", b"F", size)

    if fits:
        assert pair.server.receive(header, 0) == []
        return
    with pytest.raises(ChunkTooLarge):
        pair.server.receive(header, 0)


@pytest.mark.parametrize(
    ("size", "fits"), [(MAX_OPEN_SIZE - 1, True), (MAX_OPEN_SIZE, True), (MAX_OPEN_SIZE + 1, False)]
)
def test_an_open_chunk_has_at_most_8_kib(
    size: int, fits: bool, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = greeted(client, server)
    header = HEADER.pack(b"OPN", b"F", size)

    if fits:
        assert pair.server.receive(header, 0) == []
        return
    with pytest.raises(ChunkTooLarge):
        pair.server.receive(header, 0)


def test_our_own_open_chunk_is_bounded_as_well(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    long_chain = ApplicationIdentity(
        certificate=client.certificate,
        private_key=client.private_key,
        chain=(b"\x30\x82\x20\x00" + bytes(0x2000),),
    )
    pair = make_pair(BASIC256SHA256, Mode.Sign, long_chain, server)
    pair.greet()

    with pytest.raises(MessageTooLarge):
        pair.request_open()


def open_with(uri: bytes, certificate: bytes = b"", thumbprint: bytes = bytes(20)) -> bytes:
    """Return an OPN with this security header and nothing behind it."""
    fields = b"".join(
        struct.pack("<i", len(field)) + field for field in (uri, certificate, thumbprint)
    )
    return struct.pack("<4sII", b"OPNF", 12 + len(fields), 0) + fields


@pytest.mark.parametrize(
    ("length", "status"),
    [
        (MAX_POLICY_URI - 1, StatusCode.BadSecurityPolicyRejected),
        (MAX_POLICY_URI, StatusCode.BadSecurityPolicyRejected),
        (MAX_POLICY_URI + 1, StatusCode.BadSecurityChecksFailed),
    ],
)
@pytest.mark.clause("OPC 10000-6 §6.7.2.3")
def test_a_policy_uri_has_at_most_255_bytes(length: int, status: StatusCode) -> None:
    uri = URI_PREFIX.encode().ljust(length, b"x")

    with pytest.raises(Rejected) as caught:
        parse_header(open_with(uri))

    assert caught.value.status is status


@pytest.mark.parametrize(("length", "fits"), [(0, False), (19, False), (20, True), (21, False)])
@pytest.mark.clause("OPC 10000-6 §6.7.2.3")
def test_a_thumbprint_has_20_bytes(length: int, fits: bool) -> None:
    data = open_with(BASIC256SHA256.uri.encode(), thumbprint=bytes(length))

    if fits:
        assert parse_header(data).receiver_thumbprint == bytes(length)
        return
    with pytest.raises(DecodingError):
        parse_header(data)


@given(data=st.binary(max_size=200))
def test_arbitrary_open_headers_raise_only_rejections(data: bytes) -> None:
    for chunk in (data, open_with(BASIC256SHA256.uri.encode())[:-30] + data):
        try:
            parse_header(chunk)
        except Rejected:
            continue


@pytest.mark.parametrize(
    ("ours", "theirs", "limit"),
    [
        (2048, 2048, MAX_SMALL_BLOCKS),
        (2048, 4096, MAX_OPEN_BLOCKS),
        (4096, 2048, MAX_OPEN_BLOCKS),
        (3072, 3072, MAX_OPEN_BLOCKS),
    ],
)
def test_blocks_are_counted_before_one_is_decrypted(ours: int, theirs: int, limit: int) -> None:
    header = OpenHeader(
        channel_id=0,
        policy=BASIC256SHA256,
        sender_certificate=b"",
        receiver_thumbprint=b"",
        size=10,
    )
    block = ours // 8

    for blocks in (1, limit):
        chunk = bytes(10 + block * blocks)
        assert count_blocks(header, chunk, our_bits=ours, peer_bits=theirs) == blocks
    for length in (0, 1, block - 1, block + 1, block * limit + 1, block * (limit + 1)):
        with pytest.raises(SecurityChecksFailed):
            count_blocks(header, bytes(10 + length), our_bits=ours, peer_bits=theirs)


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_a_chain_has_a_longest_length(offset: int, client: ApplicationIdentity) -> None:
    blob = client.certificate * (MAX_CHAIN_LENGTH + offset)

    if offset <= 0:
        assert split_chain(blob) == (client.certificate,) * (MAX_CHAIN_LENGTH + offset)
        return
    with pytest.raises(SecurityChecksFailed):
        split_chain(blob)


@given(blob=st.binary(max_size=60))
def test_arbitrary_chains_raise_only_security_errors(blob: bytes) -> None:
    try:
        assert b"".join(split_chain(blob)) == blob
    except SecurityChecksFailed:
        return


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_messages_are_bounded_by_what_the_receiver_takes(
    offset: int, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    # The size of a message binds the server's responses and the client's requests alike.
    limits = ChannelLimits(max_message_size=20_000)
    pair = open_pair(
        BASIC256SHA256,
        Mode.SignAndEncrypt,
        client,
        server,
        client_limits=limits,
        server_limits=limits,
    )
    body = bytes(20_000 + offset)

    if offset <= 0:
        pair.exchange(body)
        return
    request_id = pair.client.next_request_id()
    with pytest.raises(MessageTooLarge) as caught:
        pair.client.send(request_id, body, 0)
    assert caught.value.status is StatusCode.BadRequestTooLarge
    request_id = pair.request(b"?")
    with pytest.raises(MessageTooLarge) as caught:
        pair.server.send(request_id, body, 0)
    assert caught.value.status is StatusCode.BadResponseTooLarge
    pair.respond(request_id, b"a fault instead")


@pytest.mark.parametrize(("chunks", "fits"), [(1, True), (2, True), (3, False)])
def test_chunks_are_bounded_by_what_the_receiver_takes(
    chunks: int, fits: bool, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(NONE, Mode.None_, client, server, client_limits=SMALL)
    request_id = pair.request(b"?")
    body = bytes((8192 - 24) * chunks)

    if fits:
        pair.respond(request_id, body)
        return
    with pytest.raises(MessageTooLarge):
        pair.server.send(request_id, body, 0)


def test_a_peer_that_ignores_our_limits_is_cut_off(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    pair = open_pair(NONE, Mode.None_, client, server, server_limits=SMALL)
    pair.server.receive(plain_chunk(b"MSGC", 2, 1, bytes(1)), 0)

    with pytest.raises(MessageTooLarge):
        pair.server.receive(plain_chunk(b"MSGC", 3, 1, bytes(1)), 0)

    assert pair.server.state is ChannelState.CLOSED


@pytest.mark.parametrize(("count", "fits"), [(2, True), (3, True), (4, False)])
def test_requests_without_response_are_bounded(
    count: int, fits: bool, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    limits = ChannelLimits(max_outstanding=3)
    pair = open_pair(NONE, Mode.None_, client, server, client_limits=limits)
    for _ in range(count - 1):
        pair.request(b"?")

    if fits:
        pair.request(b"?")
        return
    with pytest.raises(Misuse):
        pair.client.send(pair.client.next_request_id(), b"?", 0)


@pytest.mark.clause("OPC 10000-4 §5.6.2")
@pytest.mark.parametrize(
    ("asked_s", "granted_s"),
    [(0.5, 10), (9.999, 10), (10, 10), (60, 60), (3600, 3600), (3600.5, 3600), (4_000_000, 3600)],
)
def test_the_lifetime_of_a_token_is_clamped(
    asked_s: float, granted_s: float, client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    lowest = ChannelLimits(min_token_lifetime_s=1)
    pair = make_pair(NONE, Mode.None_, client, server, client_limits=lowest)
    pair.greet()

    [received] = pair.server.receive(pair.request_open(lifetime_s=max(asked_s, 1)), 0)
    assert isinstance(received, OpenReceived)
    opened = pair.finish_open(pair.accept_open(pair.server.process_open(received)))

    assert opened.lifetime_s == min(granted_s, max(asked_s, 1))
    assert list(pair.server.tokens.values()) == [1.25 * granted_s]


def test_no_certificate_makes_more_than_a_security_error(
    client: ApplicationIdentity, server: ApplicationIdentity
) -> None:
    """Certificates with one byte changed: read or refused, never anything else."""
    for at in range(0, len(client.certificate), 3):
        changed = bytearray(client.certificate)
        changed[at] ^= 0x41
        twisted = ApplicationIdentity(certificate=bytes(changed), private_key=client.private_key)
        pair = make_pair(BASIC256SHA256, Mode.Sign, twisted, server)
        pair.greet()
        try:
            pair.server.receive(pair.request_open(), 0)
        except SecurityChecksFailed:
            continue
