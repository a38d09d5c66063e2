"""A site of the tests: a small CA, a Client identity, and the push a Registrar would do.

Written against ``wire.Client`` alone, so that what it finds owes nothing to ``onboarding``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from asyncua import ua
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from registrar.errors import ServiceFailed
from registrar.simulate.device import Device, Surroundings, system_clock
from registrar.simulate.keys import KeyPool
from registrar.simulate.manufacturer import CertificateAuthority, Revocation, root_authority
from registrar.simulate.methods import make_methods
from registrar.simulate.misbehaviour import HONEST, Misbehaviour
from registrar.simulate.model import DCA_OBJECT, ConfigurationObject, load_model, node_id
from registrar.simulate.peer_trust import TrustListContent
from registrar.simulate.plant import DevicePlan, Kind, Plan, TicketRoute, Validation
from registrar.simulate.production import Factory, Product
from registrar.simulate.trust_list_file import WRITE, encode
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.security_policy import AES256_SHA256_RSAPSS, SecurityPolicy
from registrar.wire.client import ChannelSecurity, Client
from registrar.wire.key_queue import KeyQueue

NOW = datetime.now(UTC)
SIGN = ua.MessageSecurityMode.Sign
ENCRYPT = ua.MessageSecurityMode.SignAndEncrypt
Kinds = ua.VariantType

NULL_NODE = ua.Variant(ua.NodeId(), Kinds.NodeId)
RSA_SHA256 = ua.Variant(node_id(12560), Kinds.NodeId)
CREATE_SIGNING_REQUEST = node_id(12737)
UPDATE_CERTIFICATE = node_id(13737)
APPLY_CHANGES = node_id(12740)
CANCEL_CHANGES = node_id(25708)
GET_CERTIFICATES = node_id(32296)
GET_REJECTED_LIST = node_id(12777)
RESET = node_id(25709)
OPEN = node_id(11580)
OPEN_WITH_MASKS = node_id(12543)
READ = node_id(11585)
FILE_WRITE = node_id(11588)
CLOSE = node_id(11583)
GET_POSITION = node_id(11590)
SET_POSITION = node_id(11593)
CLOSE_AND_UPDATE = node_id(12546)
ADD_CERTIFICATE = node_id(12548)
REMOVE_CERTIFICATE = node_id(12550)


@lru_cache(maxsize=1)
def pool() -> KeyPool:
    """Return keys for all tests of this room."""
    return KeyPool(40)


def device_plan(
    *,
    index: int = 0,
    kind: Kind = Kind.GENUINE,
    maker: str = "alpha",
    route: TicketRoute = TicketRoute.OUT_OF_BAND,
    singleton: bool = False,
    applications: int = 1,
    validation: Validation = Validation.FORM,
    outdated: bool = False,
    composite: str = "",
) -> DevicePlan:
    """Return the plan of one Device."""
    return DevicePlan(
        index=index,
        kind=kind,
        maker=maker,
        model=f"{maker}-model",
        serial_number=f"{index:06}",
        product_instance_uri=f"urn:{maker}.example.com:snr-{index}",
        route=route,
        singleton=singleton,
        applications=applications,
        validation=validation,
        outdated=outdated,
        composite=composite,
    )


def product(plan: DevicePlan) -> Product:
    """Return the made Device of ``plan``."""
    (made,), _ = Factory(Plan(seed=1, devices=(plan,), composites=()), pool(), NOW).make()
    return made


@asynccontextmanager
async def running(
    plan: DevicePlan | None = None, misbehaviour: Misbehaviour = HONEST
) -> AsyncIterator[Device]:
    """Run one Device on a free port."""
    model = load_model()
    surroundings = Surroundings(
        keys=pool(),
        clock=system_clock(),
        model=model,
        methods=make_methods(model),
        key_queue=KeyQueue(),
    )
    device = Device(
        product(plan or device_plan()),
        host="127.0.0.1",
        port=0,
        surroundings=surroundings,
        misbehaviour=misbehaviour,
    )
    await device.start()
    try:
        yield device
    finally:
        await device.close()


@dataclass(slots=True)
class Site:
    """A site with one CA and one Registrar."""

    name: str
    authority: CertificateAuthority = field(init=False)
    identity: ApplicationIdentity = field(init=False)
    uri: str = field(init=False)

    def __post_init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self.authority = root_authority(
            f"{self.name} CA", key, serial=500, revocation=Revocation.NOWHERE, now=NOW
        )
        own = pool().take()
        self.uri = f"urn:{self.name}.example.com:registrar"
        certificate = self.authority.application(self.uri, own.public_key())
        self.identity = ApplicationIdentity(certificate=certificate, private_key=own)

    @property
    def trust_list(self) -> TrustListContent:
        """What it pushes."""
        return TrustListContent(
            trusted_certificates=(self.authority.der,), trusted_crls=(self.authority.crl(),)
        )

    @asynccontextmanager
    async def session(
        self,
        device: Device,
        *,
        policy: SecurityPolicy = AES256_SHA256_RSAPSS,
        mode: ua.MessageSecurityMode = ENCRYPT,
        certificate: bytes | None = None,
    ) -> AsyncIterator[Client]:
        """Open a Session, with the Device's last endpoint certificate where nothing is said."""
        endpoints = await discover(device)
        shown = certificate or endpoints[-2].ServerCertificate or b""
        security = ChannelSecurity(
            policy=policy, mode=mode, identity=self.identity, server_certificate=shown
        )
        client = await Client.connect(device.url, security=security)
        try:
            await client.create_session(discovered=endpoints)
            yield client
        finally:
            await client.close()

    def issue(self, request: bytes, uri: str) -> bytes:
        """Return the certificate for a signing request."""
        key = x509.load_der_x509_csr(request).public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        return self.authority.application(uri, key, host="127.0.0.1")

    async def onboard(self, device: Device) -> None:
        """Do the whole push in two Sessions: the DCA, then its applications."""
        objects = device.configuration_objects
        async with self.session(device) as client:
            await self.push(client, device, 0)
            await client.call(objects[0].node, APPLY_CHANGES)
        if len(objects) == 1:
            return
        async with self.session(device) as client:
            for at in range(1, len(objects)):
                await self.push(client, device, at)
            await client.call(objects[1].node, node_id(12734))

    async def push(self, client: Client, device: Device, at: int) -> None:
        """Stage TrustList and certificate of one configuration object."""
        target = device.configuration_objects[at]
        await write_trust_list(client, target, encode(self.trust_list))
        certificate = await self.request(client, device, at)
        await update_certificate(client, target, certificate)

    async def request(self, client: Client, device: Device, at: int) -> bytes:
        """Ask for a signing request and return the certificate for it."""
        target = device.configuration_objects[at]
        (request,) = await client.call(
            target.node, node_id(12731), *signing_arguments(f"CN=test-{at}")
        )
        return self.issue(request.Value, device.configuration.application_uris[at])


def signing_arguments(
    subject: str = "CN=test", *, regenerate: bool = True, nonce: bytes = bytes(32)
) -> tuple[ua.Variant, ...]:
    """Return the arguments of CreateSigningRequest."""
    return (
        NULL_NODE,
        RSA_SHA256,
        ua.Variant(subject, Kinds.String),
        ua.Variant(regenerate, Kinds.Boolean),
        ua.Variant(nonce, Kinds.ByteString),
    )


def update_arguments(
    certificate: bytes, *, key_format: str = "", key: bytes = b""
) -> tuple[ua.Variant, ...]:
    """Return the arguments of UpdateCertificate."""
    return (
        NULL_NODE,
        RSA_SHA256,
        ua.Variant(certificate, Kinds.ByteString),
        ua.Variant([], Kinds.ByteString, is_array=True),
        ua.Variant(key_format, Kinds.String),
        ua.Variant(key, Kinds.ByteString),
    )


async def update_certificate(
    client: Client, target: ConfigurationObject, certificate: bytes
) -> None:
    """Call UpdateCertificate."""
    await client.call(target.node, node_id(12616), *update_arguments(certificate))


async def open_file(client: Client, target: ConfigurationObject, mode: int) -> ua.Variant:
    """Open the TrustList and return the handle."""
    (handle,) = await client.call(target.trust_list, OPEN, ua.Variant(mode, Kinds.Byte))
    return handle


async def write_trust_list(client: Client, target: ConfigurationObject, data: bytes) -> None:
    """Stage a TrustList."""
    handle = await open_file(client, target, WRITE)
    block = ua.Variant(data, Kinds.ByteString)
    await client.call(target.trust_list, FILE_WRITE, handle, block)
    await client.call(target.trust_list, CLOSE_AND_UPDATE, handle)


async def discover(device: Device) -> list[ua.EndpointDescription]:
    """Return the endpoints a Device shows to anybody."""
    async with await Client.connect(device.url) as client:
        return await client.get_endpoints()


def shown(endpoints: Sequence[ua.EndpointDescription]) -> set[bytes]:
    """Return the certificates (with issuers) of the secured endpoints."""
    return {
        e.ServerCertificate or b""
        for e in endpoints
        if e.SecurityMode != ua.MessageSecurityMode.None_
    }


async def status_of(call: Awaitable[object]) -> StatusCode:
    """Await a call and return the status it failed with; Good if it did not."""
    try:
        await call
    except ServiceFailed as error:
        return error.status
    return StatusCode.Good


DCA = DCA_OBJECT
