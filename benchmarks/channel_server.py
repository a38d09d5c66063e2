"""The Server of ``benchmarks.channel``: one Listener of ours, at each path another Device.

A Device is made when somebody asks for it, with a key and a certificate nobody has seen, so that
no Client can gain by keeping what it read. Prints the port and the CA of the Devices, then serves
until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import uvloop
from asyncua import ua
from cryptography.hazmat.primitives.asymmetric import rsa

from benchmarks.conversation import (
    CALLS,
    DEVICE,
    DEVICE_NAME,
    IS_SINGLETON,
    MOST_AT_ONCE,
    NAMESPACE,
    OBJECTS,
    SERIAL_NUMBER,
    MethodCall,
)
from registrar.errors import ServiceFailed
from registrar.simulate.keys import KeyPool
from registrar.simulate.manufacturer import Revocation, root_authority
from registrar.status import StatusCode
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.security_policy import POLICIES
from registrar.wire import (
    AddressSpace,
    Argument,
    KeyQueue,
    Listener,
    Method,
    MethodTable,
    Mode,
    Peer,
    Role,
    ServerLimits,
    Session,
    load_node_table,
)

SERVER_URI = "urn:benchmark:device"
_PROFILE = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary"
_FEW_KEYS = 64
"""More are made from new primes where they do not suffice."""


class Devices:
    """The application of the Listener."""

    def __init__(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        self.authority = root_authority(
            "Device CA", key, serial=1, revocation=Revocation.NOWHERE, now=datetime.now(UTC)
        )
        self._keys = KeyPool(_FEW_KEYS)
        self._by_path: dict[str, ApplicationIdentity] = {}
        self._by_thumbprint: dict[bytes, ApplicationIdentity] = {}
        self._endpoints: dict[str, Sequence[ua.EndpointDescription]] = {}
        self.space = AddressSpace(load_node_table(), application_uri=SERVER_URI)
        self.methods = MethodTable()
        self.space.add_object(DEVICE, ua.QualifiedName(DEVICE_NAME, NAMESPACE), OBJECTS)
        self._add_variable(SERIAL_NUMBER, "SerialNumber", ua.Variant("4711"), data_type=12)
        self._add_variable(IS_SINGLETON, "IsSingleton", ua.Variant(True), data_type=1)
        for call in {call.name: call for call in CALLS}.values():
            self._add_method(call)

    def _add_variable(
        self, node: ua.NodeId, name: str, value: ua.Variant, *, data_type: int
    ) -> None:
        self.space.add_variable(
            node, ua.QualifiedName(name, NAMESPACE), DEVICE, value, data_type=data_type
        )

    def _add_method(self, call: MethodCall) -> None:
        self.space.add_method(call.method_id, ua.QualifiedName(call.name, NAMESPACE), DEVICE)
        inputs = tuple(Argument(one.VariantType, bool(one.is_array)) for one in call.inputs)
        method = Method(handler=_answer(call), inputs=inputs, roles=None, mode=Mode.ENCRYPT)
        self.methods.add(DEVICE, [call.method_id], method)

    def describe(self) -> ua.ApplicationDescription:
        """Return what FindServers tells."""
        return ua.ApplicationDescription(
            ApplicationUri=SERVER_URI,
            ProductUri="urn:benchmark",
            ApplicationName=ua.LocalizedText(DEVICE_NAME),
            ApplicationType=ua.ApplicationType.Server,
        )

    def endpoints(self, endpoint_url: str) -> Sequence[ua.EndpointDescription]:
        """Return an endpoint of each policy for the Device that ``endpoint_url`` names, kept."""
        found = self._endpoints.get(endpoint_url)
        if found is None:
            found = self._endpoints[endpoint_url] = self._make_endpoints(endpoint_url)
        return found

    def _make_endpoints(self, endpoint_url: str) -> Sequence[ua.EndpointDescription]:
        identity = self.device(endpoint_url.rpartition("/")[2])
        return [
            ua.EndpointDescription(
                EndpointUrl=endpoint_url,
                Server=self.describe(),
                ServerCertificate=identity.certificate,
                SecurityMode=ua.MessageSecurityMode.None_
                if policy.is_none
                else ua.MessageSecurityMode.SignAndEncrypt,
                SecurityPolicyUri=policy.uri,
                UserIdentityTokens=[
                    ua.UserTokenPolicy(PolicyId="anonymous", TokenType=ua.UserTokenType.Anonymous)
                ],
                TransportProfileUri=_PROFILE,
                SecurityLevel=1,
            )
            for policy in POLICIES.values()
        ]

    def device(self, path: str) -> ApplicationIdentity:
        """Return the Device at ``path``, made where it is new."""
        identity = self._by_path.get(path)
        if identity is None:
            key = self._keys.take()
            certificate = self.authority.identity(
                f"Device {path}", key.public_key(), uris=[SERVER_URI]
            )
            identity = ApplicationIdentity(certificate=certificate, private_key=key)
            self._by_path[path] = self._by_thumbprint[identity.thumbprint] = identity
        return identity

    def identity(self, receiver_thumbprint: bytes) -> ApplicationIdentity | None:
        """Return the Device a Client means."""
        return self._by_thumbprint.get(receiver_thumbprint)

    def admit(self, peer: Peer, now: datetime) -> None:
        """Let everyone in."""

    def authenticate(self, session: Session) -> frozenset[Role]:
        """Know nobody."""
        return frozenset({Role.ANONYMOUS})

    def session_closed(self, session: Session) -> None:
        """Keep nothing."""


def _answer(call: MethodCall) -> Callable[..., Sequence[ua.Variant]]:
    expected = [one.Value for one in call.inputs]

    def answer(session: Session, *values: object) -> Sequence[ua.Variant]:
        if [*values] != expected:
            raise ServiceFailed(
                f"other arguments for {call.name}", status=StatusCode.BadInvalidArgument
            )
        return call.outputs

    return answer


async def serve() -> None:
    """Listen, say where, and stay until the standard input ends."""
    devices = Devices()
    listener = Listener(
        devices,
        limits=ServerLimits(sessions_per_address=MOST_AT_ONCE),
        keys=KeyQueue(per_address=MOST_AT_ONCE),
    )
    await listener.start("127.0.0.1")
    print(json.dumps({"port": listener.port, "authority": devices.authority.der.hex()}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await listener.close()


if __name__ == "__main__":
    uvloop.run(serve())
