"""The entries of a CRL: what is read, what is refused, and that both bodies agree."""

from __future__ import annotations

import inspect
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from cryptography import x509
from hypothesis import example, given
from hypothesis import strategies as st

from registrar.core.crl import MAX_CRL_BYTES, Crl
from registrar.core.der import INTEGER, SEQUENCE, encode, expect
from registrar.core.path import validate_path
from registrar.core.revoked import MAX_SERIAL_BYTES, read_entries
from registrar.core.validation import ValidationOptions
from registrar.errors import CertificateRejected, DecodingError, Reason
from tests.core.building import NOW, root, trusting

BODIES = [read_entries, inspect.unwrap(read_entries)]
DATE = encode(0x17, b"260101000000Z")
REASON = bytes.fromhex("0603551d15")
HOLD = bytes.fromhex("0603551d17")
MEBIBYTE = 1024 * 1024


def entry(serial: bytes, *extensions: bytes, date: bytes = DATE) -> bytes:
    rest = encode(SEQUENCE, b"".join(extensions)) if extensions else b""
    return encode(SEQUENCE, encode(INTEGER, serial) + date + rest)


def extension(name: bytes, *, critical: bool = False) -> bytes:
    flag = bytes.fromhex("0101ff") if critical else b""
    return encode(SEQUENCE, name + flag + encode(0x04, bytes.fromhex("0a0108")))


def with_entries(*entries: bytes) -> bytes:
    """Return a CRL that says ``entries``; its signature is over something else."""
    ca = root()
    der = ca.crl(ca.certificate).der
    start, _ = expect(der, 0, len(der), SEQUENCE)
    at, end = expect(der, start, len(der), SEQUENCE)
    rest = der[end:]
    parts: list[bytes] = []
    while at < end:
        tag, after = der[at], expect(der, at, end, der[at])[1]
        is_list = tag == SEQUENCE and any(part[0] == 0x17 for part in parts)
        parts.append(encode(SEQUENCE, b"".join(entries)) if is_list else der[at:after])
        at = after
    return encode(SEQUENCE, encode(SEQUENCE, b"".join(parts)) + rest)


def test_a_small_list_is_kept_parsed_and_a_large_one_is_not() -> None:
    ca = root()
    small = ca.crl(ca.certificate).der
    large = with_entries(
        *[entry(number.to_bytes(4)) for number in range(1 << 24, 12_000 + (1 << 24))]
    )

    assert Crl.from_der(small) is Crl.from_der(small)
    assert Crl.from_der(large) is not Crl.from_der(large)


@pytest.mark.parametrize("read", BODIES, ids=["compiled", "pure"])
def test_entries_are_found_by_their_tail(read: Callable[..., tuple[object, object]]) -> None:
    body = entry(bytes(range(1, 21)), extension(REASON, critical=True)) + entry(b"\x05")

    tails, offsets = read(body, 0, len(body))

    assert [f"{tail:x}" for tail in tails] == ["5", "d0e0f1011121314"]  # type: ignore[attr-defined]
    assert [body[start] for start in offsets] == [5, 1]  # type: ignore[attr-defined]


@pytest.mark.bad_input("B70", "an entry that is no entry", "file_invalid")
@pytest.mark.bad_input("B70", "a serial number that hides behind a longer form", "file_invalid")
@pytest.mark.parametrize("read", BODIES, ids=["compiled", "pure"])
@pytest.mark.parametrize(
    "bad",
    [
        encode(INTEGER, b"\x05"),
        encode(SEQUENCE, b""),
        encode(SEQUENCE, DATE),
        encode(SEQUENCE, encode(INTEGER, b"\x05")),
        entry(b""),
        entry(b"\x00\x05"),
        entry(b"\xff\x85"),
        entry(bytes([1]) * (MAX_SERIAL_BYTES + 1)),
        entry(b"\x05", date=encode(0x04, b"260101000000Z")),
        encode(SEQUENCE, encode(INTEGER, b"\x05") + DATE + encode(0x04, b"")),
        encode(SEQUENCE, encode(INTEGER, b"\x05") + DATE + encode(SEQUENCE, b"") + b"\x05\x00"),
        entry(b"\x05", REASON),
        entry(b"\x05", encode(SEQUENCE, REASON)),
        entry(b"\x05", encode(SEQUENCE, REASON + encode(0x04, b"") + b"\x05\x00")),
        entry(b"\x05")[:-1],
        bytes.fromhex("30810f") + entry(b"\x05")[2:],
        bytes.fromhex("308500000000120201051700"),
    ],
)
def test_a_malformed_entry_refuses_the_list(read: Callable[..., object], bad: bytes) -> None:
    body = entry(b"\x01") + bad

    with pytest.raises(DecodingError, match="cannot be read"):
        read(body, 0, len(body))
    with pytest.raises(CertificateRejected) as caught:
        Crl.from_der(with_entries(body))
    assert caught.value.reason is Reason.FILE_INVALID


@pytest.mark.bad_input("B67", "an entry with an unknown critical extension", "file_invalid")
@pytest.mark.bad_input("B69", "an entry of another issuer (certificateIssuer)", "file_invalid")
@pytest.mark.parametrize("name", ["0603551d17", "0603551d1d"], ids=["unknown", "certificateIssuer"])
@pytest.mark.parametrize("read", BODIES, ids=["compiled", "pure"])
def test_an_entry_that_asks_for_more_refuses_the_list(
    read: Callable[..., object], name: str
) -> None:
    unknown = bytes.fromhex(name)
    good, bad = extension(unknown), extension(unknown, critical=True)

    read(entry(b"\x05", good), 0, len(entry(b"\x05", good)))
    with pytest.raises(DecodingError, match="unknown critical extension"):
        read(entry(b"\x05", bad, good), 0, len(entry(b"\x05", bad, good)))
    with pytest.raises(CertificateRejected, match="unknown critical extension") as caught:
        Crl.from_der(with_entries(entry(b"\x05", bad, good)))
    assert caught.value.reason is Reason.FILE_INVALID


@pytest.mark.parametrize("read", BODIES, ids=["compiled", "pure"])
def test_an_extension_that_says_it_is_not_critical_is_not(read: Callable[..., object]) -> None:
    said = encode(SEQUENCE, HOLD + bytes.fromhex("010100") + encode(0x04, b""))
    body = entry(bytes([1]) * MAX_SERIAL_BYTES, said)

    read(body, 0, len(body))


@pytest.mark.bad_input(
    "B70", "removeFromCRL in a complete list: revoked", "device_certificate_revoked"
)
def test_whatever_the_reason_the_certificate_is_revoked() -> None:
    ca = root()
    leaf = ca.issue("leaf").certificate
    crl = ca.crl(leaf, reason=x509.ReasonFlags.remove_from_crl)

    with pytest.raises(CertificateRejected) as caught:
        validate_path(
            leaf,
            intermediates=(),
            trust=trusting(ca, crls=[crl]),
            now=NOW,
            options=ValidationOptions(),
        )

    assert caught.value.reason is Reason.DEVICE_CERTIFICATE_REVOKED
    assert crl.serial_numbers == {leaf.serial_number}


def test_serial_numbers_of_one_tail_are_told_apart() -> None:
    tail = bytes(range(8))
    crl = Crl.from_der(with_entries(entry(b"\x01" + tail), entry(b"\x02" + tail)))

    assert crl.revoked(int.from_bytes(b"\x01" + tail))
    assert crl.revoked(int.from_bytes(b"\x02" + tail))
    assert not crl.revoked(int.from_bytes(b"\x03" + tail))
    assert not crl.revoked(int.from_bytes(tail))
    assert crl.size == 2


serials = st.binary(min_size=1, max_size=22)
valid = st.builds(entry, serials, st.builds(extension, st.sampled_from([REASON, HOLD])))


@given(body=st.lists(valid).map(b"".join), at=st.integers(0, 60), value=st.integers(0, 255))
@example(body=entry(b"\x05", extension(HOLD, critical=True)), at=60, value=0)
@example(body=bytes.fromhex("3084ffffffff"), at=60, value=0)
def test_compiled_and_pure_agree(body: bytes, at: int, value: int) -> None:
    changed = body[:at] + bytes((value,)) + body[at + 1 :] if at < len(body) else body

    assert outcome(BODIES[0], changed) == outcome(BODIES[1], changed)


def outcome(read: Callable[..., tuple[object, object]], body: bytes) -> object:
    try:
        tails, offsets = read(body, 0, len(body))
    except DecodingError as error:
        return str(error)
    return list(tails), list(offsets)  # type: ignore[call-overload]


@contextmanager
def peak_of() -> Iterator[Callable[[], int]]:
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    try:
        yield lambda: tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.bad_input("B71", "a list of a million entries: read, and looked up", "none")
@pytest.mark.skipif(BODIES[0] is BODIES[1], reason="the pure body is the slow one")
def test_a_million_entries_are_read_and_looked_up_at_once() -> None:
    der = with_entries(*(entry(b"\x40" + number.to_bytes(15)) for number in range(1_000_000)))
    wanted = int.from_bytes(b"\x40" + (999_999).to_bytes(15))
    started = time.process_time()

    with peak_of() as peak:
        crl = Crl.from_der(der)
        found = crl.revoked(wanted), crl.revoked(wanted + 1)

        assert peak() < 64 * MEBIBYTE
    assert time.process_time() - started < 0.2 * 3  # other processes and the tracer cost time
    assert found == (True, False)


@pytest.mark.bad_input("B71", "a list longer than is read", "file_invalid")
def test_a_list_that_is_too_long_is_not_looked_at() -> None:
    with pytest.raises(CertificateRejected, match="exceeds"):
        Crl.from_der(bytes(MAX_CRL_BYTES + 1))
