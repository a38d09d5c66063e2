"""Judge a plant by asking every Device over TCP, with a certificate of the site.

A Device counts as onboarded if it shows DCA Certificates of the site and nothing else, if each of
its configuration objects holds one certificate of the site, and if each TrustList holds a CA of
the site with its CRL. What the Registrar says about it plays no part.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from asyncua import ua

from registrar.errors import CertificateRejected, RegistrarError
from registrar.simulate.configuration import leaf_of
from registrar.simulate.model import DCA_OBJECT, node_id
from registrar.simulate.peer_trust import (
    TrustListContent,
    application_uris,
    is_crl_of,
    is_issued_by,
    parse_certificate,
)
from registrar.simulate.trust_list_file import READ, decode, sha1_hex
from registrar.simulate.truth import DeviceTruth, Truth
from registrar.simulate.verdict import Finding, Verdict
from registrar.status import StatusCode, name_of
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.security_policy import AES256_SHA256_RSAPSS
from registrar.wire.client import ChannelSecurity, Client
from registrar.wire.key_queue import KeyQueue
from registrar.wire.limits import ClientLimits

LIMITS = ClientLimits(connect_s=15.0, request_s=15.0)
READ_LENGTH = 65_536
"""Bytes; the TrustLists of a plant are smaller."""

GET_CERTIFICATES = node_id(32296)
OPEN = node_id(11580)
FILE_READ = node_id(11585)


@dataclass(frozen=True, slots=True)
class _Object:
    """One configuration object of a Device, as it answered."""

    application_uri: str
    certificates: tuple[bytes, ...]
    trust_list: TrustListContent


async def judge(
    truth: Truth,
    *,
    identity: ApplicationIdentity,
    site_authorities: Sequence[bytes],
    concurrency: int = 32,
) -> Verdict:
    """Ask every Device of ``truth``.

    Args:
        identity: of the site; its ApplicationUri must be the Registrar's, because Devices may
            map SecurityAdmin to that alone.
        site_authorities: the site's root and issuing CAs, DER.
        concurrency: how many Devices are asked at a time.
    """
    gate = asyncio.Semaphore(concurrency)
    keys = KeyQueue()
    inspector = _Inspector(identity, tuple(site_authorities), keys)

    async def ask(device: DeviceTruth) -> Finding:
        async with gate:
            return await inspector.inspect(device)

    findings = await asyncio.gather(*map(ask, truth.devices))
    return Verdict(
        findings={d.url: found for d, found in zip(truth.devices, findings, strict=True)}
    )


class _Inspector:
    def __init__(
        self, identity: ApplicationIdentity, authorities: tuple[bytes, ...], keys: KeyQueue
    ) -> None:
        self._identity = identity
        self._authorities = authorities
        self._keys = keys

    async def inspect(self, device: DeviceTruth) -> Finding:
        """Return what ``device`` shows; what it refuses is a defect too."""
        is_ours = False
        try:
            async with await Client.connect(device.url, limits=LIMITS) as client:
                shown = await client.get_endpoints()
            leaves = {leaf_of(endpoint.ServerCertificate or b"") for endpoint in shown}
            is_ours = any(self._is_of_site(leaf) for leaf in leaves)
            if not is_ours:
                return Finding(onboarded=False, is_ours=False, defects=_of_owner(device, leaves))
            defects = [
                f"shows {parse_certificate(leaf).subject.rfc4514_string()[:80]}, not of the site"
                for leaf in leaves
                if not self._is_of_site(leaf)
            ]
            own = next(leaf for leaf in leaves if self._is_of_site(leaf))
            objects = await self._ask(device, own)
            if own not in objects[0].certificates:
                defects.append("shows another DCA Certificate than its slot holds")
            for item in objects:
                defects += self._defects(item)
        except RegistrarError as error:
            defects = [f"{type(error).__name__}: {error}"]
        return Finding(onboarded=is_ours and not defects, is_ours=is_ours, defects=tuple(defects))

    async def _ask(self, device: DeviceTruth, server_certificate: bytes) -> list[_Object]:
        security = ChannelSecurity(
            policy=AES256_SHA256_RSAPSS,
            mode=ua.MessageSecurityMode.SignAndEncrypt,
            identity=self._identity,
            server_certificate=server_certificate,
        )
        uris = [device.product_instance_uri, *(a.application_uri for a in device.applications)]
        places = [(DCA_OBJECT.node, DCA_OBJECT.trust_list)] + [
            (ua.NodeId.from_string(a.node_id), ua.NodeId.from_string(a.trust_list))
            for a in device.applications
        ]
        async with await Client.connect(
            device.url, security=security, limits=LIMITS, keys=self._keys
        ) as client:
            await client.create_session(server_application_uri=device.product_instance_uri)
            certificates, handles = await _certificates_and_handles(client, places)
            lists = await _read_trust_lists(client, [node for _, node in places], handles)
        return [
            _Object(uri, held, content)
            for uri, held, content in zip(uris, certificates, lists, strict=True)
        ]

    def _defects(self, item: _Object) -> list[str]:
        found = []
        if len(item.certificates) != 1:
            found.append(f"{len(item.certificates)} certificates for {item.application_uri}")
        for certificate in item.certificates:
            if not self._is_of_site(certificate):
                found.append(f"certificate of {item.application_uri} is not of the site")
            if item.application_uri not in application_uris(certificate):
                found.append(f"certificate of {item.application_uri} names another application")
        trusted = set(item.trust_list.trusted_certificates) & set(self._authorities)
        if not trusted:
            found.append(f"TrustList of {item.application_uri} has no CA of the site")
        if not any(is_crl_of(crl, ca) for crl in item.trust_list.crls for ca in trusted):
            found.append(f"TrustList of {item.application_uri} has no CRL of the site")
        return found

    def _is_of_site(self, certificate: bytes) -> bool:
        try:
            return any(is_issued_by(certificate, ca) for ca in self._authorities)
        except CertificateRejected:
            return False


async def _certificates_and_handles(
    client: Client, places: Sequence[tuple[ua.NodeId, ua.NodeId]]
) -> tuple[list[tuple[bytes, ...]], list[int]]:
    default_group = ua.Variant(ua.NodeId(), ua.VariantType.NodeId)
    mode = ua.Variant(READ, ua.VariantType.Byte)
    requests = [_request(node, GET_CERTIFICATES, default_group) for node, _ in places]
    requests += [_request(trust_list, OPEN, mode) for _, trust_list in places]
    outputs = [_outputs(result) for result in await client.call_all(requests)]
    certificates = [tuple(both[1].Value or ()) for both in outputs[: len(places)]]
    return certificates, [handle.Value for (handle,) in outputs[len(places) :]]


async def _read_trust_lists(
    client: Client, nodes: Sequence[ua.NodeId], handles: Sequence[int]
) -> list[TrustListContent]:
    length = ua.Variant(READ_LENGTH, ua.VariantType.Int32)
    requests = [
        _request(node, FILE_READ, ua.Variant(handle, ua.VariantType.UInt32), length)
        for node, handle in zip(nodes, handles, strict=True)
    ]
    results = await client.call_all(requests)
    return [decode(_outputs(result)[0].Value or b"", TrustListContent()) for result in results]


def _request(
    object_id: ua.NodeId, method_id: ua.NodeId, *arguments: ua.Variant
) -> ua.CallMethodRequest:
    return ua.CallMethodRequest(
        ObjectId=object_id, MethodId=method_id, InputArguments=list(arguments)
    )


def _outputs(result: ua.CallMethodResult) -> list[ua.Variant]:
    status = result.StatusCode.value
    if status != StatusCode.Good:
        raise RegistrarError(f"a call ended with {name_of(status)}")
    return list(result.OutputArguments or ())


def _of_owner(device: DeviceTruth, leaves: set[bytes]) -> tuple[str, ...]:
    if device.owner and device.owner not in map(sha1_hex, leaves):
        return ("no longer shows the certificate of its owner",)
    return ()
