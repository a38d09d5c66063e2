"""The Registrar's listener over TCP: who is let in, and who may report software."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from asyncua import ua
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from registrar.ca.pem import read_certificates
from registrar.core.enrolment import Event
from registrar.core.software import SoftwareReport
from registrar.core.trust import TrustListName
from registrar.enrolment.journal import open_journal
from registrar.errors import RegistrarError, ServiceFailed
from registrar.server import Account, ListenSettings, RegistrarServer, hash_password
from registrar.server.accounts import FREE_FAILURES, is_password
from registrar.server.nodes import ONBOARDING
from registrar.status import StatusCode
from registrar.store import audit, enrolments, inbox, software, trust
from registrar.store.enrolments import Columns
from registrar.store.transaction import Cause, Transaction
from registrar.ua.application_identity import ApplicationIdentity
from registrar.ua.security_policy import AES256_SHA256_RSAPSS, POLICIES, SecurityPolicy
from registrar.ua.user_tokens import UserNameUser
from registrar.wire.client import ChannelSecurity, Client, UserToken
from tests.onboarding.stage import Backdrop, Stage, now

URI = "urn:alpha.example.com:alpha-drive:s-0001"
MANAGER = "urn:example.com:manager"
ENCRYPT = ua.MessageSecurityMode.SignAndEncrypt
SIGN = ua.MessageSecurityMode.Sign
ACCOUNT = Account(password_hash=hash_password("right", salt=b"0123456789abcdef"))


@asynccontextmanager
async def listening(
    backdrop: Backdrop, directory: Path, settings: ListenSettings | None = None
) -> AsyncIterator[tuple[Stage, RegistrarServer]]:
    """A site that knows one device, and its listener."""
    async with backdrop.stage(directory) as stage:
        await know_the_device(stage)
        server = RegistrarServer(
            store=stage.store,
            identity=stage.site.identity(),
            application_uri=stage.site.settings.registrar.application_uri,
            settings=settings or ListenSettings(),
            now=now,
        )
        async with server:
            yield stage, server


async def know_the_device(stage: Stage) -> None:
    async with open_journal(stage.store, name=uuid.uuid4().hex, now=now) as journal:
        (enrolment,) = await journal.discover(["opc.tcp://10.0.0.1"])
        lease = await journal.acquire(enrolment)
        columns = Columns(product_instance_uri=URI)
        cause = Cause(actor="test", now=now())
        await stage.store.write(
            lambda tx: enrolments.advance(
                tx, lease, Event.TICKET_MATCHED, cause=cause, columns=columns
            )
        )


def manager_of(stage: Stage, directory: Path, *, is_administrator: bool) -> ApplicationIdentity:
    """Return an application the site issued a certificate to."""
    files = stage.site.issue_application(directory / "m", name="M", application_uri=MANAGER)
    leaf, *chain = read_certificates(files.certificate)
    key = load_pem_private_key(files.private_key.read_bytes(), None)
    if is_administrator:
        add(stage, TrustListName.ADMINISTRATORS, leaf.der)
    return ApplicationIdentity(
        certificate=leaf.der,
        chain=tuple(one.der for one in chain),
        private_key=key,  # type: ignore[arg-type]
    )


def add(stage: Stage, name: TrustListName, der: bytes) -> None:
    cause = Cause(actor="test", now=now())

    def change(tx: Transaction) -> None:
        trust.add_certificate(tx, name, der, cause=cause)

    stage.store.write_sync(change)


@asynccontextmanager
async def session(
    server: RegistrarServer,
    identity: ApplicationIdentity,
    *,
    own: ApplicationIdentity,
    mode: ua.MessageSecurityMode = ENCRYPT,
    policy: SecurityPolicy = AES256_SHA256_RSAPSS,
    user: UserToken | None = None,
) -> AsyncIterator[Client]:
    security = ChannelSecurity(
        policy=policy, mode=mode, identity=identity, server_certificate=own.certificate
    )
    async with await Client.connect(server.url, security=security) as client:
        await client.create_session(user=user)
        yield client


async def report(
    client: Client, uri: str = URI, *, is_current: bool = True, method: int = 1510
) -> None:
    index = await onboarding_index(client)
    request = _report(index, uri, is_current=is_current, method=method)
    await client.call(request.ObjectId, request.MethodId, *request.InputArguments)


def _report(index: int, uri: str, *, is_current: bool, method: int = 1510) -> ua.CallMethodRequest:
    return ua.CallMethodRequest(
        ObjectId=ua.NodeId(ua.Int32(1344), ua.Int16(index)),
        MethodId=ua.NodeId(ua.Int32(method), ua.Int16(index)),
        InputArguments=[
            ua.Variant(uri, ua.VariantType.String),
            ua.Variant(is_current, ua.VariantType.Boolean),
            ua.Variant("2.1", ua.VariantType.String),
        ],
    )


async def onboarding_index(client: Client) -> int:
    (value,) = await client.read([(ua.NodeId(ua.Int32(2255)), ua.attribute_ids.AttributeIds.Value)])
    assert value.Value is not None
    return list(value.Value.Value).index(ONBOARDING)


@pytest.mark.clause("R128")
@pytest.mark.parametrize("method", [1510, 1503])
@pytest.mark.parametrize(
    "policy", sorted(set(POLICIES) - {"http://opcfoundation.org/UA/SecurityPolicy#None"})
)
async def test_an_administrator_by_certificate_reports_software(
    backdrop: Backdrop, tmp_path: Path, method: int, policy: str
) -> None:
    async with listening(backdrop, tmp_path) as (stage, server):
        identity = manager_of(stage, tmp_path, is_administrator=True)

        async with session(
            server, identity, own=stage.site.identity(), policy=POLICIES[policy]
        ) as client:
            await report(client, method=method)

        reader = stage.store.reader
        assert software.last_report(reader, URI) == SoftwareReport(is_current=True, revision="2.1")
        assert [one.payload for one in inbox.waiting(reader)] == [URI]
        assert audit.entries(reader)[-1].actor == MANAGER


@pytest.mark.clause("R95")
async def test_the_last_of_several_reports_in_one_request_counts(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    async with listening(backdrop, tmp_path) as (stage, server):
        identity = manager_of(stage, tmp_path, is_administrator=True)

        async with session(server, identity, own=stage.site.identity()) as client:
            index = await onboarding_index(client)
            results = await client.call_all(
                [_report(index, URI, is_current=one) for one in (True, True, False)]
            )

        reader = stage.store.reader
        assert [result.StatusCode.is_good() for result in results] == [True, True, True]
        assert software.last_report(reader, URI) == SoftwareReport(is_current=False, revision="2.1")
        assert [one.payload for one in inbox.waiting(reader)] == [URI, URI, URI]


@pytest.mark.clause("R94")
@pytest.mark.clause("R6")
async def test_a_trusted_application_without_the_role_is_denied(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    async with listening(backdrop, tmp_path) as (stage, server):
        identity = manager_of(stage, tmp_path, is_administrator=False)

        async with session(server, identity, own=stage.site.identity()) as client:
            with pytest.raises(ServiceFailed) as caught:
                await report(client)

        assert caught.value.status is StatusCode.BadUserAccessDenied
        assert software.last_report(stage.store.reader, URI) is None


@pytest.mark.clause("R96")
async def test_an_application_named_in_the_configuration_has_the_role(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    settings = ListenSettings(software_update_admins=frozenset({MANAGER}))
    async with listening(backdrop, tmp_path, settings) as (stage, server):
        identity = manager_of(stage, tmp_path, is_administrator=False)

        async with session(server, identity, own=stage.site.identity()) as client:
            await report(client, is_current=False)

        assert software.last_report(stage.store.reader, URI) == SoftwareReport(
            is_current=False, revision="2.1"
        )


@pytest.mark.clause("R94")
async def test_reports_need_encryption(backdrop: Backdrop, tmp_path: Path) -> None:
    async with listening(backdrop, tmp_path) as (stage, server):
        identity = manager_of(stage, tmp_path, is_administrator=True)

        async with session(server, identity, own=stage.site.identity(), mode=SIGN) as client:
            with pytest.raises(ServiceFailed) as caught:
                await report(client)

        assert caught.value.status is StatusCode.BadSecurityModeInsufficient


@pytest.mark.clause("R94")
@pytest.mark.parametrize("uri", ["urn:nobody", "", URI + "x"])
async def test_an_unknown_device_is_not_found(backdrop: Backdrop, tmp_path: Path, uri: str) -> None:
    async with listening(backdrop, tmp_path) as (stage, server):
        identity = manager_of(stage, tmp_path, is_administrator=True)

        async with session(server, identity, own=stage.site.identity()) as client:
            with pytest.raises(ServiceFailed) as caught:
                await report(client, uri)

        assert caught.value.status is StatusCode.BadNotFound


async def test_a_text_that_is_too_long_is_refused(backdrop: Backdrop, tmp_path: Path) -> None:
    async with listening(backdrop, tmp_path) as (stage, server):
        identity = manager_of(stage, tmp_path, is_administrator=True)

        async with session(server, identity, own=stage.site.identity()) as client:
            with pytest.raises(ServiceFailed) as caught:
                await report(client, "urn:" + "x" * 2000)

        assert caught.value.status is StatusCode.BadInvalidArgument


@pytest.mark.clause("R96")
@pytest.mark.parametrize(
    ("name", "password", "is_let_in"),
    [("ada", "right", True), ("ada", "wrong", False), ("eve", "right", False)],
)
async def test_a_person_reports_by_password(
    backdrop: Backdrop, tmp_path: Path, name: str, password: str, is_let_in: bool
) -> None:
    settings = ListenSettings(accounts={"ada": ACCOUNT})
    async with listening(backdrop, tmp_path, settings) as (stage, server):
        identity = manager_of(stage, tmp_path, is_administrator=False)
        user = UserNameUser(name, password)
        own = stage.site.identity()

        if is_let_in:
            async with session(server, identity, own=own, user=user) as client:
                await report(client)
            assert audit.entries(stage.store.reader)[-1].actor == f"ada by {MANAGER}"
        else:
            with pytest.raises(RegistrarError) as caught:
                async with session(server, identity, own=own, user=user):
                    pass
            assert caught.value.status is StatusCode.BadUserAccessDenied


@pytest.mark.clause("I10: threat-model 6")
async def test_no_password_stands_in_log_or_audit(
    backdrop: Backdrop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    account = Account(password_hash=hash_password("sesame-right", salt=b"0123456789abcdef"))
    async with listening(backdrop, tmp_path, ListenSettings(accounts={"ada": account})) as (
        stage,
        server,
    ):
        identity = manager_of(stage, tmp_path, is_administrator=False)
        own = stage.site.identity()
        for password in ("sesame-wrong", "sesame-right"):
            user = UserNameUser("ada", password)
            with suppress(RegistrarError):
                async with session(server, identity, own=own, user=user) as client:
                    await report(client)
        kept = [repr(entry) for entry in audit.entries(stage.store.reader)]

    assert "ada by" in kept[-1]
    assert "refused" in caplog.text
    assert "sesame" not in caplog.text + "".join(kept)


@pytest.mark.clause("T16: threat-model 4")
async def test_guesses_that_come_together_wait_for_each_other(
    backdrop: Backdrop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []

    def compare(password: str, password_hash: str) -> bool:
        compared.append(password)
        return is_password(password, password_hash)

    monkeypatch.setattr("registrar.server.application.is_password", compare)
    settings = ListenSettings(accounts={"ada": ACCOUNT})
    async with listening(backdrop, tmp_path, settings) as (stage, server):
        identity = manager_of(stage, tmp_path, is_administrator=False)
        own = stage.site.identity()

        async def guess(number: int) -> StatusCode:
            user = UserNameUser("ada", f"guess {number}")
            with pytest.raises(RegistrarError) as caught:
                async with session(server, identity, own=own, user=user):
                    pass
            return caught.value.status

        statuses = await asyncio.gather(*map(guess, range(2 * FREE_FAILURES)))

    assert len(compared) == FREE_FAILURES
    assert set(statuses) == {StatusCode.BadUserAccessDenied}


@pytest.mark.clause("R7")
async def test_strangers_open_no_channel(backdrop: Backdrop, tmp_path: Path) -> None:
    async with listening(backdrop, tmp_path / "one") as (stage, server):
        async with backdrop.stage(tmp_path / "two") as other:
            stranger = manager_of(stage, tmp_path, is_administrator=False)
            device_like = ApplicationIdentity(
                certificate=other.site.identity().certificate,
                private_key=stranger.private_key,
            )

        for identity in (device_like, stage.site.identity()):
            with pytest.raises(RegistrarError):
                async with session(server, identity, own=stage.site.identity()):
                    pass


@pytest.mark.clause("R2")
@pytest.mark.clause("R13")
async def test_the_address_space_shows_what_is_offered_and_nothing_else(
    backdrop: Backdrop, tmp_path: Path
) -> None:
    async with listening(backdrop, tmp_path) as (stage, server):
        identity = manager_of(stage, tmp_path, is_administrator=False)

        async with session(server, identity, own=stage.site.identity()) as client:
            index = await onboarding_index(client)
            metadata = await client.read(
                [(onboarding(number, index), VALUE) for number in range(2, 9)]
            )
            offered = await client.browse([children(onboarding(1344, index))])
            hidden = await client.read(
                [(onboarding(number, index), CLASS) for number in (1345, 1348, 1350, 1512, 1514)]
                + [(ua.NodeId(ua.Int32(number)), CLASS) for number in (29878, 12637, 16706)]
            )

        values = [one.Value.Value for one in metadata if one.Value is not None]
        assert values[:2] == [ONBOARDING, "1.05.04"]
        assert values[2].strftime("%Y-%m-%d") == "2024-12-01"
        assert values[3:] == [False, [0], ["1:65535"], ""]
        assert [one.BrowseName.Name for one in offered[0]] == ["UpdateSoftwareStatus"]
        assert {int(one.StatusCode.value) for one in hidden if one.StatusCode} == {
            int(StatusCode.BadNodeIdUnknown)
        }


VALUE = ua.attribute_ids.AttributeIds.Value
CLASS = ua.attribute_ids.AttributeIds.NodeClass


def onboarding(number: int, index: int) -> ua.NodeId:
    return ua.NodeId(ua.Int32(number), ua.Int16(index))


def children(node: ua.NodeId) -> ua.BrowseDescription:
    return ua.BrowseDescription(
        NodeId=node,
        BrowseDirection=ua.BrowseDirection.Forward,
        ReferenceTypeId=ua.NodeId(ua.Int32(44)),
        IncludeSubtypes=True,
        NodeClassMask=0,
        ResultMask=63,
    )
