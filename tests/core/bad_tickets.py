"""B1 to B31: bad Tickets, each with the reason it is refused for.

From threat-model 5.1, RFC 7515, RFC 7518 and RFC 8725. Whatever a line does not say is as in a
good Ticket.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from registrar.errors import Reason
from tests.core.building import (
    COMPOSITE_URI,
    DEVICE_URI,
    NOW,
    base64url,
    composite_payload,
    device_payload,
    document,
    ec_key,
    entry,
    header,
    make,
    root,
    rsa_key,
    usage,
)
from tests.core.spoiling import (
    AUTHORITY,
    BIG,
    COMPOSITE,
    DAY,
    DEEP,
    EXPIRED_ROOT,
    GOOD,
    HELPING_ROOT,
    ORDER,
    OTHER,
    OTHER_URI,
    PAYLOAD,
    REVOKED,
    REVOKED_CA,
    ROOT,
    RSA,
    SIGNER,
    SILENT_ROOT,
    STOPPED,
    STRANGER,
    TWICE,
    as_der,
    bent,
    by_edwards,
    by_public_key,
    by_role,
    by_weak,
    composite,
    dense,
    exchanged,
    foreign_entry,
    foreigner,
    good_signature,
    headed,
    jwk,
    lacking,
    nested,
    only,
    paid,
    part,
    parts,
    pss_with_short_salt,
    raw_header,
    recoded,
    rsa,
    several,
    signed,
    stray,
    unprotected,
    wasteful,
    with_signature,
    x5c,
)

MALFORMED = Reason.TICKET_MALFORMED
TOO_LARGE = Reason.TICKET_TOO_LARGE
ALGORITHM = Reason.TICKET_ALGORITHM_REFUSED
SIGNATURE = Reason.TICKET_SIGNATURE_INVALID
INVALID = Reason.TICKET_SIGNER_INVALID
UNTRUSTED = Reason.TICKET_SIGNER_UNTRUSTED
EXPIRED = Reason.TICKET_SIGNER_EXPIRED
WITHDRAWN = Reason.TICKET_SIGNER_REVOKED
UNKNOWN = Reason.TICKET_SIGNER_REVOCATION_UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class BadTicket:
    """One member of a family."""

    number: str
    what: str
    reason: Reason | None
    """``None`` where a good signature beside the bad one makes it a good Ticket."""

    make: Callable[[], str | bytes]


FAMILIES: Mapping[str, str] = {
    "B1": "Tickets: no algorithm",
    "B2": "Tickets: symmetric algorithms",
    "B3": "Tickets: algorithms off the list",
    "B4": "Tickets: algorithms that do not fit the key",
    "B5": "Tickets: keys in the document",
    "B6": "Tickets: keys to be fetched",
    "B7": "Tickets: x5c",
    "B8": "Tickets: weak keys of signers",
    "B9": "Tickets: members in the wrong header",
    "B10": "Tickets: members in both headers",
    "B11": "Tickets: crit and b64",
    "B12": "Tickets: cty",
    "B13": "Tickets: opc-uri",
    "B14": "Tickets: serialization",
    "B15": "Tickets: Base64url",
    "B16": "Tickets: what is no JSON",
    "B17": "Tickets: characters",
    "B18": "Tickets: members that stand twice",
    "B19": "Tickets: types of members",
    "B20": "Tickets: altered after signing",
    "B21": "Tickets: form of the signature",
    "B22": "Tickets: somebody else's signature",
    "B23": "Tickets: several signatures",
    "B24": "Tickets: signers nobody trusts",
    "B25": "Tickets: signers of another role",
    "B26": "Tickets: expiry",
    "B27": "Tickets: revocation",
    "B28": "Tickets: payload",
    "B29": "Tickets: URIs",
    "B30": "Tickets: size",
    "B31": "Tickets: depth, numbers and effort",
}

_Row = tuple[str, Reason | None, Callable[[], str | bytes]]

_ROWS: Mapping[str, tuple[_Row, ...]] = {
    "B1": (
        ("alg none, no signature", ALGORITHM, lambda: with_signature(b"", alg="none")),
        ("alg none, a good signature", ALGORITHM, lambda: signed(alg="none")),
        ("alg NoNe", ALGORITHM, lambda: signed(alg="NoNe")),
        ("alg empty", ALGORITHM, lambda: signed(alg="")),
        ("alg absent", MALFORMED, lambda: lacking("alg")),
        ("alg null", MALFORMED, lambda: headed(alg=None)),
        ("alg a list", MALFORMED, lambda: headed(alg=["ES256"])),
    ),
    "B2": (
        ("the public key as the secret of HS256", ALGORITHM, by_public_key),
        ("HS384", ALGORITHM, lambda: signed(alg="HS384")),
        ("HS512", ALGORITHM, lambda: signed(alg="HS512")),
    ),
    "B3": (
        ("EdDSA", ALGORITHM, lambda: signed(alg="EdDSA")),
        ("ES256K", ALGORITHM, lambda: signed(alg="ES256K")),
        ("RS1", ALGORITHM, lambda: signed(RSA, alg="RS1")),
        ("es256 in lower case", ALGORITHM, lambda: signed(alg="es256")),
        ("ES256 and a blank", ALGORITHM, lambda: signed(alg="ES256 ")),
        ("an algorithm of encryption", ALGORITHM, lambda: signed(RSA, alg="RSA-OAEP")),
    ),
    "B4": (
        ("RS256 with a key on a curve", ALGORITHM, lambda: headed(alg="RS256")),
        ("PS256 with a key on a curve", ALGORITHM, lambda: headed(alg="PS256")),
        ("ES256 with an RSA key", ALGORITHM, lambda: headed(RSA, alg="ES256")),
        ("ES384 with a key on P-256", ALGORITHM, lambda: headed(alg="ES384")),
        ("ES512 with a key on P-256", ALGORITHM, lambda: headed(alg="ES512")),
    ),
    "B5": (
        ("jwk of the signer", MALFORMED, lambda: headed(jwk=jwk())),
        ("jwk and no x5c", MALFORMED, lambda: lacking("x5c", header={"jwk": jwk()})),
        ("jwk in the unprotected header", MALFORMED, lambda: unprotected({"jwk": jwk()})),
        ("jwk null", MALFORMED, lambda: headed(jwk=None)),
    ),
    "B6": (
        ("jku", MALFORMED, lambda: headed(jku="https://example.com/keys")),
        ("x5u", MALFORMED, lambda: headed(x5u="file:///etc/passwd")),
        ("jku, unprotected", MALFORMED, lambda: unprotected({"jku": "https://example.com"})),
        ("x5u, unprotected", MALFORMED, lambda: unprotected({"x5u": "https://example.com"})),
        ("kid and no x5c", MALFORMED, lambda: lacking("x5c", header={"kid": "1"})),
        ("x5t and no x5c", MALFORMED, lambda: lacking("x5c", header={"x5t": "YQ"})),
    ),
    "B7": (
        ("x5c absent", MALFORMED, lambda: lacking("x5c")),
        ("x5c empty", MALFORMED, lambda: headed(x5c=[])),
        ("x5c a text", MALFORMED, lambda: headed(x5c=x5c(SIGNER.der)[0])),
        ("x5c of numbers", MALFORMED, lambda: headed(x5c=[7])),
        ("x5c in Base64url", MALFORMED, lambda: headed(x5c=[base64url(b"\xfb\xff" * 3)])),
        ("x5c without padding", MALFORMED, lambda: headed(x5c=["MIIBaA"])),
        ("x5c with a line break", MALFORMED, lambda: headed(x5c=[x5c(SIGNER.der)[0] + "\n"])),
        ("x5c of PEM", MALFORMED, lambda: headed(x5c=["-----BEGIN CERTIFICATE-----"])),
        ("x5c of nonsense", INVALID, lambda: headed(x5c=["MIIB"])),
        ("a byte behind a certificate", INVALID, lambda: headed(x5c=x5c(SIGNER.der + b"\0"))),
        ("a certificate cut off", INVALID, lambda: headed(x5c=x5c(SIGNER.der[:-1]))),
        ("a nonsense issuer", INVALID, lambda: headed(x5c=[*x5c(SIGNER.der), "MIIB"])),
        ("eleven certificates", MALFORMED, lambda: headed(x5c=x5c(SIGNER.der) * 11)),
        ("the issuer first", INVALID, lambda: headed(x5c=x5c(ROOT.der, SIGNER.der))),
    ),
    "B8": (
        ("RSA of 1024 bits", ALGORITHM, lambda: by_weak(rsa_key(1024), "RS256")),
        ("P-224", ALGORITHM, lambda: by_weak(ec_key(ec.SECP224R1()), "ES256")),
        ("secp256k1", ALGORITHM, lambda: by_weak(ec_key(ec.SECP256K1()), "ES256")),
        ("Ed25519", ALGORITHM, lambda: by_edwards()),
        (
            "a CA with a short key",
            INVALID,
            lambda: signed(
                ROOT.issue("weak", is_ca=True, key=ec_key(ec.SECP224R1())).issue("below")
            ),
        ),
    ),
    "B9": (
        ("alg unprotected only", MALFORMED, lambda: lacking("alg", header={"alg": "ES256"})),
        ("x5c unprotected only", MALFORMED, lambda: lacking("x5c", header={"x5c": []})),
        (
            "cty unprotected only",
            MALFORMED,
            lambda: lacking("cty", header={"cty": header(SIGNER)["cty"]}),
        ),
        ("no protected header", MALFORMED, lambda: parts(protected="", header=header(SIGNER))),
    ),
    "B10": (
        ("alg in both headers", MALFORMED, lambda: unprotected({"alg": "ES256"})),
        ("another alg in both", MALFORMED, lambda: unprotected({"alg": "none"})),
        ("x5c in both headers", MALFORMED, lambda: unprotected({"x5c": x5c(STRANGER.der)})),
        ("cty in both headers", MALFORMED, lambda: unprotected({"cty": "x"})),
    ),
    "B11": (
        ("crit of a known name", MALFORMED, lambda: headed(crit=["opc-uri"])),
        ("crit of an unknown name", MALFORMED, lambda: headed(crit=["x"], x=1)),
        ("crit empty", MALFORMED, lambda: headed(crit=[])),
        ("crit unprotected", MALFORMED, lambda: unprotected({"crit": ["alg"]})),
        ("b64 false", MALFORMED, lambda: headed(b64=False, crit=["b64"])),
        ("b64 true", MALFORMED, lambda: headed(b64=True)),
    ),
    "B12": (
        ("cty absent", MALFORMED, lambda: lacking("cty")),
        ("cty of a JWT", MALFORMED, lambda: headed(cty="JWT")),
        ("cty without a type", MALFORMED, lambda: headed(cty="opc-ticket+json")),
        ("cty of an unknown type", MALFORMED, lambda: signed(kind="BaseTicketType")),
        ("cty of a list", MALFORMED, lambda: signed(kind="TicketListType")),
        ("cty of a Composite, a Device's payload", MALFORMED, lambda: signed(kind=COMPOSITE)),
        (
            "cty of a Device, a Composite's payload",
            MALFORMED,
            lambda: signed(payload=composite_payload(devices=[DEVICE_URI])),
        ),
        ("cty a number", MALFORMED, lambda: headed(cty=7)),
    ),
    "B13": (
        ("opc-uri empty", MALFORMED, lambda: headed(**{"opc-uri": ""})),
        ("opc-uri a number", MALFORMED, lambda: headed(**{"opc-uri": 7})),
        ("opc-uri too long", MALFORMED, lambda: headed(**{"opc-uri": "u" * 1025})),
        (
            "opc-uri in both headers",
            MALFORMED,
            lambda: document(
                PAYLOAD,
                {**entry(PAYLOAD, SIGNER, opc_uri=COMPOSITE_URI), "header": {"opc-uri": "urn:x"}},
            ),
        ),
    ),
    "B14": (
        (
            "compact",
            MALFORMED,
            lambda: f"{part('protected')}.{part('payload')}.{part('signature')}",
        ),
        ("flattened", MALFORMED, lambda: json.dumps({"payload": part("payload"), **only()})),
        ("flattened and general", MALFORMED, lambda: json.dumps({**json.loads(GOOD), **only()})),
        ("a detached payload", MALFORMED, lambda: json.dumps({"signatures": [only()]})),
        ("a payload of null", MALFORMED, lambda: parts(payload=None)),
        ("no signatures", MALFORMED, lambda: json.dumps({"payload": part("payload")})),
        ("an empty array of signatures", MALFORMED, lambda: parts(signatures=[])),
        ("signatures as an object", MALFORMED, lambda: parts(signatures={"0": only()})),
        ("an array of documents", MALFORMED, lambda: f"[{GOOD}]"),
        ("two documents", MALFORMED, lambda: GOOD + GOOD),
    ),
    "B15": (
        ("padding in the payload", MALFORMED, lambda: parts(payload="YQ==")),
        ("stray bits in the payload", MALFORMED, lambda: parts(payload="YR")),
        ("the standard alphabet", MALFORMED, lambda: parts(payload="+/+/")),
        ("one character too many", MALFORMED, lambda: parts(payload="YWJjY")),
        ("a line break in the payload", MALFORMED, lambda: parts(payload="YWJj\n")),
        ("padding in the header", MALFORMED, lambda: parts(protected=part("protected") + "=")),
        ("padding in the signature", MALFORMED, lambda: parts(signature=part("signature") + "==")),
        ("stray bits in the signature", MALFORMED, lambda: parts(signature=stray("signature"))),
        ("no ASCII in the signature", MALFORMED, lambda: parts(signature="\u00e4" * 86)),
    ),
    "B16": (
        ("nothing", MALFORMED, lambda: ""),
        ("garbage", MALFORMED, lambda: b"\x00\x01 not a ticket"),
        ("a document cut off", MALFORMED, lambda: GOOD[:-1]),
        ("something behind it", MALFORMED, lambda: GOOD + "x"),
        ("a comma too many", MALFORMED, lambda: GOOD[:-1] + ",}"),
        ("a comment", MALFORMED, lambda: GOOD[:-1] + "/**/}"),
        ("single quotes", MALFORMED, lambda: GOOD.replace('"', "'")),
        ("NaN", MALFORMED, lambda: GOOD[:-1] + ',"x":NaN}'),
        ("Infinity in the header", MALFORMED, lambda: raw_header(',"x":-Infinity')),
        ("a leading zero", MALFORMED, lambda: GOOD[:-1] + ',"x":01}'),
        ("XML", MALFORMED, lambda: "<Ticket/>"),
    ),
    "B17": (
        ("no UTF-8", MALFORMED, lambda: GOOD[:-1].encode() + b',"x":"\xff"}'),
        ("a surrogate in UTF-8", MALFORMED, lambda: GOOD[:-1].encode() + b',"x":"\xed\xa0\x80"}'),
        ("an overlong form", MALFORMED, lambda: GOOD[:-1].encode() + b',"x":"\xc0\x80"}'),
        ("half a surrogate pair", MALFORMED, lambda: GOOD[:-1] + ',"x":"\\ud800"}'),
        ("a byte order mark", MALFORMED, lambda: "\ufeff" + GOOD),
        ("UTF-16", MALFORMED, lambda: GOOD.encode("utf-16")),
        ("a control character", MALFORMED, lambda: GOOD[:-1] + ',"x":"\x01"}'),
        ("no UTF-8 in the payload", MALFORMED, lambda: signed(payload=b'{"x":"\xff"}')),
    ),
    "B18": (
        ("payload twice", MALFORMED, lambda: GOOD[:-1] + ',"payload":"YQ"}'),
        ("signatures twice", MALFORMED, lambda: GOOD[:-1] + ',"signatures":[]}'),
        ("payload twice, once escaped", MALFORMED, lambda: GOOD[:-1] + ',"p\\u0061yload":"YQ"}'),
        ("alg twice", MALFORMED, lambda: raw_header(',"alg":"none"')),
        ("alg twice, once escaped", MALFORMED, lambda: raw_header(',"\\u0061lg":"none"')),
        ("an unknown member twice, deep inside", MALFORMED, lambda: raw_header(TWICE)),
        ("the URI twice", MALFORMED, lambda: signed(payload=PAYLOAD[:-1] + OTHER_URI)),
        ("the URI in both spellings", MALFORMED, lambda: paid(productInstanceUri="urn:x:y")),
    ),
    "B19": (
        ("a signature that is a text", MALFORMED, lambda: parts(signatures=["x"])),
        ("a signature that is null", MALFORMED, lambda: parts(signatures=[None])),
        ("protected a number", MALFORMED, lambda: parts(protected=7)),
        ("signature null", MALFORMED, lambda: parts(signature=None)),
        ("header a text", MALFORMED, lambda: unprotected("x")),
        ("header a list", MALFORMED, lambda: unprotected([])),
        ("a protected header that is a list", MALFORMED, lambda: parts(protected=base64url(b"[]"))),
    ),
    "B20": (
        ("another payload", SIGNATURE, lambda: parts(payload=base64url(device_payload("urn:x:y")))),
        ("one bit of the payload", SIGNATURE, lambda: parts(payload=base64url(bent(PAYLOAD)))),
        (
            "opc-uri put in",
            SIGNATURE,
            lambda: parts(protected=recoded({**header(SIGNER), "opc-uri": COMPOSITE_URI})),
        ),
        ("the header written anew", SIGNATURE, lambda: parts(protected=recoded(header(SIGNER)))),
        ("the signer exchanged", SIGNATURE, lambda: parts(protected=recoded(header(OTHER)))),
        ("one bit of the signature", SIGNATURE, lambda: with_signature(bent(good_signature()))),
    ),
    "B21": (
        ("ES256 as DER", SIGNATURE, as_der),
        ("r and s are zero", SIGNATURE, lambda: with_signature(bytes(64))),
        ("r and s are the order", SIGNATURE, lambda: with_signature(ORDER * 2)),
        ("r and s all ones", SIGNATURE, lambda: with_signature(b"\xff" * 64)),
        ("a byte too few", SIGNATURE, lambda: with_signature(good_signature()[:-1])),
        ("a byte too many", SIGNATURE, lambda: with_signature(good_signature() + b"\0")),
        ("r and s exchanged", SIGNATURE, lambda: with_signature(exchanged(good_signature()))),
        ("none", SIGNATURE, lambda: with_signature(b"")),
        ("RS256 with PSS", SIGNATURE, lambda: with_signature(rsa("PS256"), RSA, alg="RS256")),
        ("RS256 with SHA-512", SIGNATURE, lambda: with_signature(rsa("RS512"), RSA, alg="RS256")),
        ("RS256 cut off", SIGNATURE, lambda: with_signature(rsa("RS256")[1:], RSA, alg="RS256")),
        ("PS256 with a short salt", SIGNATURE, pss_with_short_salt),
    ),
    "B22": (
        ("of another key", SIGNATURE, lambda: signed(replace(SIGNER, key=ec_key()))),
        ("of another Ticket", SIGNATURE, lambda: document(PAYLOAD, foreign_entry())),
        ("of the key of another signer", SIGNATURE, lambda: signed(replace(SIGNER, key=OTHER.key))),
    ),
    "B23": (
        ("untrusted, malformed, forged: the furthest counts", SIGNATURE, lambda: several()),
        ("bad ones around a good one", None, lambda: several(entry(PAYLOAD, SIGNER))),
        (
            "the opc-uri of a stranger beside a good one",
            None,
            lambda: document(
                PAYLOAD, entry(PAYLOAD, STRANGER, opc_uri="urn:x:y"), entry(PAYLOAD, SIGNER)
            ),
        ),
        (
            "the type of a stranger beside a good one",
            None,
            lambda: document(
                PAYLOAD, entry(PAYLOAD, STRANGER, kind=COMPOSITE), entry(PAYLOAD, SIGNER)
            ),
        ),
        (
            "a good signature of another payload beside a stranger's",
            SIGNATURE,
            lambda: document(PAYLOAD, foreign_entry(), entry(PAYLOAD, STRANGER)),
        ),
        (
            "a good one behind fifteen strangers",
            None,
            lambda: document(PAYLOAD, *[foreigner()] * 15, entry(PAYLOAD, SIGNER)),
        ),
        ("sixteen of strangers", UNTRUSTED, lambda: document(PAYLOAD, *[foreigner()] * 16)),
    ),
    "B24": (
        ("a stranger with his root", UNTRUSTED, lambda: signed(STRANGER)),
        ("a stranger alone", UNTRUSTED, lambda: signed(replace(STRANGER, above=()))),
        ("self-signed", UNTRUSTED, lambda: signed(make("alone"))),
        ("the name of the trusted root", UNTRUSTED, lambda: signed(root("root").issue("signer"))),
        ("below a CA that only helps", UNTRUSTED, lambda: signed(HELPING_ROOT.issue("helped"))),
        ("a signer who was stopped", Reason.AUTHORITY_STOPPED, lambda: signed(STOPPED)),
        (
            "his issuer's signature forged",
            INVALID,
            lambda: signed(ROOT.issue("forged", signing_key=ec_key())),
        ),
    ),
    "B25": (
        ("keyUsage for key agreement", INVALID, lambda: by_role(key_usage=usage("key_agreement"))),
        ("a certificate for channels", INVALID, lambda: by_role(extended=[x509.OID_SERVER_AUTH])),
        ("the Device itself", INVALID, lambda: by_role(uris=[DEVICE_URI])),
        ("below an end entity", INVALID, lambda: signed(ROOT.issue("end").issue("below"))),
        (
            "below a CA that must not sign",
            INVALID,
            lambda: signed(ROOT.issue("ca", is_ca=True, key_usage=usage("crl_sign")).issue("x")),
        ),
        (
            "deeper than pathLenConstraint",
            INVALID,
            lambda: signed(
                ROOT.issue("no ca below", is_ca=True, path_length=0)
                .issue("a ca below", is_ca=True)
                .issue("x")
            ),
        ),
    ),
    "B26": (
        ("an expired signer", EXPIRED, lambda: by_role(not_after=NOW - DAY)),
        ("a signer of tomorrow", EXPIRED, lambda: by_role(not_before=NOW + DAY)),
        ("below an expired root", EXPIRED, lambda: signed(EXPIRED_ROOT.issue("x"))),
    ),
    "B27": (
        ("a revoked signer", WITHDRAWN, lambda: signed(REVOKED)),
        ("below a revoked CA", WITHDRAWN, lambda: signed(REVOKED_CA.issue("x"))),
        ("an issuer without a CRL", UNKNOWN, lambda: signed(SILENT_ROOT.issue("x"))),
        ("that, with a pointer", UNKNOWN, lambda: signed(SILENT_ROOT.issue("x", pointer=True))),
    ),
    "B28": (
        ("empty", MALFORMED, lambda: signed(payload=b"")),
        ("a list", MALFORMED, lambda: signed(payload=b"[]")),
        ("no JSON", MALFORMED, lambda: signed(payload=b"ticket")),
        ("a JWT", MALFORMED, lambda: signed(payload=b'{"iss":"x","exp":1}')),
        ("a number for a text", MALFORMED, lambda: paid(SerialNumber=7)),
        ("a text too long", MALFORMED, lambda: paid(ModelName="x" * 4097)),
        ("a date without offset", MALFORMED, lambda: paid(ManufactureDate="2025-03-01T00:00:00")),
        ("the 30th of February", MALFORMED, lambda: paid(ManufactureDate="2025-02-30T00:00:00Z")),
        ("Authorities a text", MALFORMED, lambda: paid(Authorities="x")),
        ("an authority without certificate", MALFORMED, lambda: paid(Authorities=[{}])),
        ("too many authorities", MALFORMED, lambda: paid(Authorities=[AUTHORITY] * 33)),
        ("an ExtensionObject of another type", MALFORMED, lambda: paid(UaTypeId="i=1")),
        (
            "Devices of numbers",
            MALFORMED,
            lambda: composite(json.dumps({"CompositeInstanceUri": "urn:x:y", "Devices": [1]})),
        ),
    ),
    "B29": (
        ("no URI", MALFORMED, lambda: signed(payload=b"{}")),
        ("an empty URI", MALFORMED, lambda: signed(payload=device_payload(""))),
        ("no scheme", MALFORMED, lambda: signed(payload=device_payload("example.com"))),
        ("a blank", MALFORMED, lambda: signed(payload=device_payload("urn:a b"))),
        ("a look-alike", MALFORMED, lambda: signed(payload=device_payload("urn:ex\u0430mple"))),
        ("a direction mark", MALFORMED, lambda: signed(payload=device_payload("urn:x\u202e"))),
        ("a zero character", MALFORMED, lambda: signed(payload=device_payload("urn:x\0y"))),
        ("half an escape", MALFORMED, lambda: signed(payload=device_payload("urn:x%4"))),
        ("too long", MALFORMED, lambda: signed(payload=device_payload("urn:" + "x" * 1021))),
        (
            "a member of a Composite without scheme",
            MALFORMED,
            lambda: composite(composite_payload(devices=["x"]).decode()),
        ),
    ),
    "B30": (
        ("100 MB of bytes", TOO_LARGE, lambda: bytes(BIG)),
        ("100 MB of text", TOO_LARGE, lambda: "x" * BIG),
        ("a good Ticket and 100 MB of blanks", TOO_LARGE, lambda: GOOD + " " * BIG),
        ("a byte more than allowed", TOO_LARGE, lambda: GOOD.ljust(256 * 1024 + 1)),
        ("a payload too long", TOO_LARGE, lambda: parts(payload="A" * (128 * 1024 // 3 * 4 + 8))),
        ("seventeen signatures", TOO_LARGE, lambda: parts(signatures=[only()] * 17)),
        ("a thousand empty signatures", TOO_LARGE, lambda: parts(signatures=["x" * 16] * 1000)),
        ("a signature too long", MALFORMED, lambda: with_signature(bytes(2000))),
        ("a protected header too long", MALFORMED, lambda: headed(pad="x" * 50_000)),
        ("a certificate too long", MALFORMED, lambda: headed(x5c=["A" * 30_000])),
    ),
    "B31": (
        ("17 levels", MALFORMED, lambda: nested(17)),
        ("100,000 levels", MALFORMED, lambda: nested(100_000)),
        ("100,000 levels in the header", MALFORMED, lambda: raw_header(DEEP)),
        ("a number of 33 digits", MALFORMED, lambda: GOOD[:-1] + ',"x":' + "1" * 33 + "}"),
        ("a number of 200,000 digits", MALFORMED, lambda: GOOD[:-1] + f',"x":{"9" * 200_000}}}'),
        ("empty objects by the thousand", MALFORMED, lambda: dense("{},")),
        ("empty arrays by the thousand", MALFORMED, lambda: dense("[],")),
        ("short members by the thousand", MALFORMED, lambda: dense('{"a":1,"b":1},')),
        ("short texts by the thousand", None, lambda: dense('"ab",')),
        ("escapes by the thousand", None, lambda: dense('"\\u0041",')),
        ("signers who lead nowhere, slowly", UNTRUSTED, wasteful),
        (
            "a good signature behind too many of them",
            UNTRUSTED,
            lambda: wasteful(entry(PAYLOAD, SIGNER)),
        ),
    ),
}

BAD_TICKETS = tuple(
    BadTicket(number=number, what=what, reason=reason, make=make_it)
    for number, rows in _ROWS.items()
    for what, reason, make_it in rows
)
