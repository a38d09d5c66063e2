"""UpdateSoftwareStatus: somebody says how current the software of a device is.

The report is durable before the caller hears Good, and a running campaign finds it in the inbox.
Source: OPC 10000-21 §9.2.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from asyncua import ua

from registrar.core.software import SoftwareReport
from registrar.errors import ServiceFailed
from registrar.status import StatusCode
from registrar.store import enrolments, inbox, software
from registrar.store.inbox import News
from registrar.store.store import Store
from registrar.store.transaction import Cause, Transaction
from registrar.ua.user_tokens import UserNameUser
from registrar.wire.methods import Method, Mode
from registrar.wire.peers import Role, Session

MAX_REVISION: Final = 256
"""Characters of a SoftwareRevision."""
MAX_URI: Final = 1_024


class SoftwareStatus:
    """Takes reports about the devices of one site.

    Args:
        store: of the site.
        now: the present, timezone-aware.
    """

    def __init__(self, store: Store, *, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    def method(self) -> Method:
        """Return the row of the table of authorisation.

        The standard asks for an authenticated channel; what opens the gate for certificates
        shall not be readable either, so the channel must be encrypted. Reports overlap: each
        waits for the disk, which makes many durable as fast as one.
        """
        return Method(
            handler=self.update,
            inputs=(ua.VariantType.String, ua.VariantType.Boolean, ua.VariantType.String),
            roles=frozenset({Role.SOFTWARE_UPDATE_ADMIN}),
            mode=Mode.ENCRYPT,
            overlaps=True,
        )

    async def update(
        self, session: Session, product_instance_uri: str, status: bool, revision: str
    ) -> Sequence[ua.Variant]:
        """Keep a report.

        Args:
            session: of the caller.
            product_instance_uri: of the device.
            status: whether its software is current.
            revision: installed if it is, required if not.

        Raises:
            ServiceFailed: BadNotFound for an unknown device, BadInvalidArgument for a text that
                is too long.
        """
        uri, told = product_instance_uri or "", revision or ""
        if len(uri) > MAX_URI or len(told) > MAX_REVISION:
            raise ServiceFailed("a text is too long", status=StatusCode.BadInvalidArgument)
        if not enrolments.by_uri(self._store.reader, uri):
            raise ServiceFailed("no such device", status=StatusCode.BadNotFound)
        report = SoftwareReport(is_current=status, revision=told)
        now = self._now()
        cause = Cause(actor=actor_of(session), now=now, detail="UpdateSoftwareStatus")

        def keep(tx: Transaction) -> None:
            software.report(tx, uri, report, cause=cause)
            inbox.append(tx, News.SOFTWARE, uri, now=now)

        await self._store.write(keep)
        return ()


def actor_of(session: Session) -> str:
    """Return who acts in ``session``, for the audit trail."""
    application = session.peer.application_uri or session.peer.address
    if isinstance(session.user, UserNameUser):
        return f"{session.user.name[:80]} by {application}"
    return application
