"""The Clients of ``benchmarks.channel``, and the floor, in one process that times itself.

Reads batches from standard input, a line of JSON each, and answers with the CPU seconds (user and
system, all threads) its conversations took together and with what they were told.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

from asyncua import ua
from asyncua.client.client import Client as ForeignClient
from asyncua.crypto import security_policies
from asyncua.ua.attribute_ids import AttributeIds
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from benchmarks.channel_floor import Floor
from benchmarks.conversation import (
    CALLS,
    DEVICE,
    MOST_AT_ONCE,
    NAMESPACE,
    OBJECTS,
    PATH,
    READ,
    SERVICES,
    Stage,
)
from registrar.cli.runner import run
from registrar.core.certificate import Certificate
from registrar.core.path import validate_path
from registrar.core.trust import TrustList
from registrar.core.validation import DEVICE_IDENTITY
from registrar.simulate.manufacturer import Revocation, root_authority
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.security_policy import POLICIES
from registrar.wire import ChannelSecurity, Client, KeyQueue
from registrar.wire.builtin import node_id
from registrar.wire.unfinished import UnfinishedMessages

ENCRYPT = ua.MessageSecurityMode.SignAndEncrypt
CLIENT_URI = "urn:benchmark:client"
VALUE = AttributeIds.Value
DISCOVERY, VALIDATION, CHANNEL, SESSION, _ = Stage
PATIENCE_S = 60.0
"""For asyncua, whose loading of keys holds up all other conversations."""
_HIERARCHICAL = node_id(33)
_ELEMENT: Callable[..., ua.RelativePathElement] = ua.RelativePathElement
_TO_PATH = ua.BrowsePath(
    OBJECTS,
    ua.RelativePath(
        [_ELEMENT(_HIERARCHICAL, False, True, ua.QualifiedName(name, NAMESPACE)) for name in PATH]
    ),
)
"""``PATH`` as Translate takes it; made once, as are the arguments of ``CALLS``."""
_FOREIGN_POLICIES: Mapping[str, Any] = {
    policy.URI: policy
    for policy in (
        security_policies.SecurityPolicyBasic256Sha256,
        security_policies.SecurityPolicyAes128Sha256RsaOaep,
        security_policies.SecurityPolicyAes256Sha256RsaPss,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one conversation ended with."""

    answers: Sequence[object]
    """Of the services in their order, as they came; ``bare`` makes them comparable."""

    exchanges: int
    """Requests and their responses, GetEndpoints and those of the Session."""


_NOTHING = Told(answers=(), exchanges=0)


class Clients:
    """Everything that is loaded once: our keys, and whom we trust.

    Args:
        authority: the CA of the Devices, DER.
        folder: where certificate and key lie for who loads them himself.
    """

    def __init__(self, authority: bytes, folder: Path) -> None:
        key = rsa.generate_private_key(65537, 2048)
        own = root_authority(
            "Client CA", key, serial=2, revocation=Revocation.NOWHERE, now=datetime.now(UTC)
        )
        certificate = own.application(CLIENT_URI, key.public_key(), host=socket.gethostname())
        self.identity = ApplicationIdentity(certificate=certificate, private_key=key)
        self._certificate = x509.load_der_x509_certificate(certificate)
        self._trust = TrustList(trusted_certificates=(Certificate.from_der(authority),))
        self._authority = x509.load_der_x509_certificate(authority)
        self._keys = KeyQueue(per_address=MOST_AT_ONCE)
        self._unfinished = UnfinishedMessages()
        self._certificate_file, self._key_file = folder / "client.der", folder / "client.pem"
        self._certificate_file.write_bytes(certificate)
        self._key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    async def ours(self, url: str, policy_uri: str, *, until: Stage = Stage.SERVICES) -> Told:
        """Talk by our Client, as ``onboarding`` does; ``until`` is the last stage."""
        async with await Client.connect(
            url, keys=self._keys, unfinished=self._unfinished
        ) as discovery:
            endpoints = await discovery.get_endpoints()
        if until is DISCOVERY:
            return _NOTHING
        certificate = endpoint_of(endpoints, policy_uri).ServerCertificate
        validate_path(
            Certificate.from_der(certificate),
            trust=self._trust,
            now=datetime.now(UTC),
            options=DEVICE_IDENTITY,
        )
        if until is VALIDATION:
            return _NOTHING
        security = ChannelSecurity(
            policy=POLICIES[policy_uri],
            mode=ENCRYPT,
            identity=self.identity,
            server_certificate=certificate,
        )
        answers: list[object] = []
        async with await Client.connect(
            url, security=security, keys=self._keys, unfinished=self._unfinished
        ) as client:
            if until is CHANNEL:
                return _NOTHING
            await client.create_session(discovered=endpoints)
            if until is SESSION:
                return _NOTHING
            for node in READ:
                (value,) = await client.read([(node, VALUE)])
                answers.append(value.Value)
            answers += await client.translate([_TO_PATH])
            for call in CALLS:
                answers.append(await client.call(DEVICE, call.method_id, *call.inputs))
        return Told(answers=answers, exchanges=discovery.exchanges + client.exchanges)

    async def asyncua(self, url: str, policy_uri: str) -> Told:
        """Use asyncua as sparingly as it can be: keys loaded once, no watching tasks."""
        discovery = ForeignClient(url, timeout=PATIENCE_S)
        endpoints = await discovery.connect_and_get_server_endpoints()
        certificate = endpoint_of(endpoints, policy_uri).ServerCertificate
        self._check(certificate)
        client = ForeignClient(url, timeout=PATIENCE_S)
        client.application_uri = CLIENT_URI
        client.uaclient.pre_request_hook = None
        client.security_policy = _FOREIGN_POLICIES[policy_uri](
            certificate, self._certificate, self.identity.private_key, ENCRYPT
        )
        client.uaclient.set_security(client.security_policy)
        await client.connect_sessionless()
        await client.create_session()
        await client.activate_session()
        answers: list[object] = []
        for node in READ:
            parameters = ua.ReadParameters(
                NodesToRead=[ua.ReadValueId(NodeId=node, AttributeId=VALUE)]
            )
            (value,) = await client.uaclient.read(parameters)
            answers.append(value.Value)
        answers += await client.uaclient.translate_browsepaths_to_nodeids([_TO_PATH])
        for call in CALLS:
            request = ua.CallMethodRequest(DEVICE, call.method_id, list(call.inputs))
            (result,) = await client.uaclient.call([request])
            result.StatusCode.check()
            answers.append(result.OutputArguments or [])
        await client.close_session()
        await client.close_secure_channel()
        client.disconnect_socket()
        return Told(answers=answers, exchanges=1 + 2 + SERVICES + 1)

    async def asyncua_documented(self, url: str, policy_uri: str) -> Told:
        """Use asyncua as its documentation does."""
        client = ForeignClient(url, timeout=PATIENCE_S)
        client.application_uri = CLIENT_URI
        await client.set_security(
            _FOREIGN_POLICIES[policy_uri],
            certificate=self._certificate_file,
            private_key=self._key_file,
        )
        self._check(client.security_policy.peer_certificate)
        answers: list[object] = []
        async with client:
            for node in READ:
                answers.append(await client.get_node(node).read_value())
            objects, device = client.get_node(OBJECTS), client.get_node(DEVICE)
            found = await objects.get_child([f"{NAMESPACE}:{name}" for name in PATH])
            answers.append(found.nodeid.to_string())
            for call in CALLS:
                returned = await device.call_method(call.method_id, *call.inputs)
                answers.append([] if returned is None else [returned])
        return Told(answers=answers, exchanges=1 + 2 + SERVICES + 1)

    def _check(self, certificate: bytes | None) -> None:
        """Check issuer, signature and period, the least that shows a genuine Device."""
        device = x509.load_der_x509_certificate(certificate or b"")
        device.verify_directly_issued_by(self._authority)
        if not device.not_valid_before_utc <= datetime.now(UTC) <= device.not_valid_after_utc:
            raise ValueError("out of its period")


def endpoint_of(
    endpoints: Sequence[ua.EndpointDescription], policy_uri: str
) -> ua.EndpointDescription:
    """Return the endpoint with this policy."""
    return next(one for one in endpoints if one.SecurityPolicyUri == policy_uri)


def bare(answer: object) -> object:
    """Return values without their types, and of a path the one node it leads to."""
    if isinstance(answer, list):
        return [bare(one) for one in answer]
    if isinstance(answer, ua.BrowsePathResult):
        (target,) = answer.Targets
        return ua.NodeId(target.TargetId.Identifier, target.TargetId.NamespaceIndex).to_string()
    return answer.Value if isinstance(answer, ua.Variant) else answer


Talk = Callable[[str, str], Awaitable[Told]]


async def answer_batches(clients: Clients) -> None:
    """Carry out one batch after the other."""
    talks: Mapping[str, Talk] = {
        "ours": clients.ours,
        **{stage: partial(clients.ours, until=stage) for stage in Stage},
        "asyncua": clients.asyncua,
        "asyncua_documented": clients.asyncua_documented,
    }
    floors: dict[str, Floor] = {}
    for line in sys.stdin:
        batch = json.loads(line)
        policy_uri, variant = batch["policy"], batch["variant"]
        if variant in talks:
            print(json.dumps(await _talk(talks[variant], policy_uri, batch["urls"])), flush=True)
            continue
        if policy_uri not in floors:
            floors[policy_uri] = Floor(POLICIES[policy_uri], batch["sent"], batch["received"])
        floor = floors[policy_uri]
        work = floor.with_kept_contexts if variant == "floor" else floor.with_objects
        begin = process_time()
        for _ in range(batch["count"]):
            work()
        print(json.dumps({"cpu_s": process_time() - begin}), flush=True)


async def _talk(talk: Talk, policy_uri: str, urls: Sequence[str]) -> Mapping[str, object]:
    begin = process_time()
    told = await asyncio.gather(*(talk(url, policy_uri) for url in urls))
    cpu_s = process_time() - begin
    answers = [repr([bare(one) for one in each.answers]) for each in told]
    return {
        "cpu_s": cpu_s,
        "answers": [hashlib.sha256(one.encode()).hexdigest() for one in answers],
        "exchanges": [one.exchanges for one in told],
    }


def main() -> None:
    """Serve batches until there are no more."""
    with tempfile.TemporaryDirectory(prefix="registrar-channel-") as folder:
        run(answer_batches(Clients(bytes.fromhex(sys.argv[1]), Path(folder))))


if __name__ == "__main__":
    main()
