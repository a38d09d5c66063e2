"""The pretended SoftwareUpdateManager: it brings Devices up to date and tells the Registrar.

It works in the process of the fleet and touches its Devices directly; the Registrar hears of it
over TCP alone, by UpdateSoftwareStatus. It speaks up once a Device has an owner: FALSE with the
revision that is required, then, after the update, TRUE with the one installed. Source: OPC
10000-21 §4.2.5, §7.3, §9.2.4.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from registrar.errors import FileInvalid, RegistrarError, ServiceFailed
from registrar.simulate.configuration import leaf_of
from registrar.simulate.device import Device
from registrar.simulate.model import node_id
from registrar.simulate.plant import WANTED_REVISION
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.security_policy import AES256_SHA256_RSAPSS
from registrar.ua.user_tokens import AnonymousUser, UserNameUser
from registrar.wire.client import ChannelSecurity, Client
from registrar.wire.key_queue import KeyQueue
from registrar.wire.nodes import ONBOARDING_NAMESPACE

log = logging.getLogger(__name__)

DEVICE_REGISTRAR = 1344
UPDATE_SOFTWARE_STATUS = 1510
MAX_REPORTS = 100
"""Reports in one Call request."""
GATHERING_S = 0.05
"""How long reports are gathered before they are sent together."""
FIRST_RETRY_S = 0.2
LAST_RETRY_S = 5.0
"""The wait after a failure doubles from the first to the last of these."""
QUIET_S = 0.5
"""A Device is updated once nobody has talked to it for so long."""
LOOK_S = 0.1
"""Between two looks whether a Device is quiet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateManagerOptions:
    """Where the Registrar listens, and who calls."""

    registrar_url: str
    """Need not listen yet."""
    certificate: Path
    """Application certificate, PEM or DER; issuers may follow."""
    private_key: Path
    """PEM."""
    user_name: str = ""
    """With ``password`` a UserName token; nothing for an anonymous Session."""
    password: str = ""


@dataclass(slots=True)
class _Report:
    """What the Registrar has to hear about one Device, and when it is told next."""

    device: Device
    is_current: bool
    due: float
    pause: float = FIRST_RETRY_S


class UpdateManager:
    """Watches Devices; ``run`` reports until it is cancelled."""

    def __init__(self, options: UpdateManagerOptions, devices: Sequence[Device]) -> None:
        """Begin to watch ``devices``.

        Raises:
            FileInvalid: certificate or key cannot be read.
        """
        self._options = options
        self._identity = load_identity(options.certificate, options.private_key)
        self._waiting: dict[str, _Report] = {}
        self._woken = asyncio.Event()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._keys = KeyQueue()
        self.reported: set[str] = set()
        """ProductInstanceUris that the Registrar knows as current."""
        for device in devices:
            device.on_owned = self._owned

    async def run(self) -> None:
        """Send reports, with back-off while the Registrar is away."""
        pause = FIRST_RETRY_S
        said = ""
        while True:
            await self._woken.wait()
            try:
                async with await self._connect() as client:
                    pause = FIRST_RETRY_S
                    await self._report(client)
            except RegistrarError as error:
                # Once for each cause: a Registrar may stay away for long.
                level = logging.DEBUG if str(error) == said else logging.WARNING
                log.log(level, "%s cannot be told: %s", self._options.registrar_url, error)
                said = str(error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_RETRY_S)

    def close(self) -> None:
        """Begin no more updates."""
        for timer in self._timers.values():
            timer.cancel()

    def _owned(self, device: Device) -> None:
        """Note a Device that has TrustList and certificate: its Registrar knows it."""
        if device.application_uri in self.reported:
            return
        self._note(device, is_current=device.has_current_software)
        if not device.has_current_software:
            self._update(device)

    def _update(self, device: Device) -> None:
        # Its endpoints change with the update; who is talking to it shall end first.
        if not device.is_quiet_for(QUIET_S):
            loop = asyncio.get_running_loop()
            self._timers[device.application_uri] = loop.call_later(LOOK_S, self._update, device)
            return
        device.update_software(WANTED_REVISION)
        self._note(device, is_current=True)

    def _note(self, device: Device, *, is_current: bool) -> None:
        due = asyncio.get_running_loop().time() + GATHERING_S
        self._waiting[device.application_uri] = _Report(device, is_current, due)
        self._woken.set()

    async def _report(self, client: Client) -> None:
        """Report over one Session until it breaks, or nothing is left to say for a while."""
        loop = asyncio.get_running_loop()
        namespace = await _namespace(client)
        while self._waiting:
            now = loop.time()
            batch = [report for report in self._waiting.values() if report.due <= now]
            if batch:
                requests = [_request(report, namespace) for report in batch[:MAX_REPORTS]]
                results = await client.call_all(requests)
                for report, result in zip(batch, results, strict=False):
                    self._settle(report, result, loop.time())
            await asyncio.sleep(GATHERING_S)
        self._woken.clear()

    def _settle(self, report: _Report, result: ua.CallMethodResult, now: float) -> None:
        """Forget a report that was taken; repeat another one later and later."""
        uri = report.device.application_uri
        if self._waiting.get(uri) is not report:
            return
        if result.StatusCode.value != StatusCode.Good:
            report.due = now + report.pause
            report.pause = min(2 * report.pause, LAST_RETRY_S)
            return
        del self._waiting[uri]
        if report.is_current:
            self.reported.add(uri)

    async def _connect(self) -> Client:
        async with await Client.connect(self._options.registrar_url) as discovery:
            endpoints = await discovery.get_endpoints()
        wanted = next(
            (
                endpoint
                for endpoint in endpoints
                if endpoint.SecurityPolicyUri == AES256_SHA256_RSAPSS.uri
                and endpoint.SecurityMode == ua.MessageSecurityMode.SignAndEncrypt
            ),
            None,
        )
        if wanted is None:
            raise ServiceFailed("no endpoint with Aes256_Sha256_RsaPss and SignAndEncrypt")
        security = ChannelSecurity(
            policy=AES256_SHA256_RSAPSS,
            mode=ua.MessageSecurityMode.SignAndEncrypt,
            identity=self._identity,
            server_certificate=wanted.ServerCertificate or b"",
        )
        client = await Client.connect(
            self._options.registrar_url, security=security, keys=self._keys
        )
        user: AnonymousUser | UserNameUser = AnonymousUser()
        if self._options.user_name:
            user = UserNameUser(self._options.user_name, self._options.password)
        try:
            await client.create_session(discovered=endpoints, user=user)
        except BaseException:
            await client.close()
            raise
        return client


def load_identity(certificate: Path, private_key: Path) -> ApplicationIdentity:
    """Return who the manager is on a channel.

    Raises:
        FileInvalid: a file is missing or holds something else.
    """
    try:
        encoded = certificate.read_bytes()
        if encoded.lstrip().startswith(b"-----"):
            chain = x509.load_pem_x509_certificates(encoded)
            ders = [one.public_bytes(serialization.Encoding.DER) for one in chain]
        else:
            ders = split(encoded)
    except (OSError, ValueError, RegistrarError) as error:
        raise FileInvalid(f"no certificate: {error}", subject=certificate.name) from error
    try:
        key = serialization.load_pem_private_key(private_key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise FileInvalid(f"no private key: {error}", subject=private_key.name) from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise FileInvalid("the private key is no RSA key", subject=private_key.name)
    return ApplicationIdentity(certificate=ders[0], private_key=key, chain=tuple(ders[1:]))


def split(blob: bytes) -> list[bytes]:
    """Return the certificates that stand in ``blob`` one after the other."""
    found = []
    while blob:
        found.append(leaf_of(blob))
        blob = blob[len(found[-1]) :]
    return found


async def _namespace(client: Client) -> int:
    (value,) = await client.read([(node_id(2255), AttributeIds.Value)])
    namespaces = value.Value.Value if value.Value is not None else None
    if not isinstance(namespaces, list) or ONBOARDING_NAMESPACE not in namespaces:
        raise ServiceFailed("the Registrar has no Onboarding namespace")
    return namespaces.index(ONBOARDING_NAMESPACE)


def _request(report: _Report, namespace: int) -> ua.CallMethodRequest:
    device = report.device
    revision = device.software_revision if report.is_current else WANTED_REVISION
    return ua.CallMethodRequest(
        ObjectId=node_id(DEVICE_REGISTRAR, namespace),
        MethodId=node_id(UPDATE_SOFTWARE_STATUS, namespace),
        InputArguments=[
            ua.Variant(device.application_uri, ua.VariantType.String),
            ua.Variant(report.is_current, ua.VariantType.Boolean),
            ua.Variant(revision, ua.VariantType.String),
        ],
    )
