"""The Ticket is genuine, the certificate is not.

    revoked    Root ─▶ Identity CA ─▶ IDevID, on the CRL of the Identity CA
    foreign    counterfeit Root ─▶ counterfeit CA ─▶ IDevID with the URI of the Ticket

"validate the selected Certificate with the CAs of the Ticket" (OPC 10000-21 §7.1).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.core.enrolment import State
from registrar.errors import Reason
from registrar.simulate.plant import Kind
from tests.onboarding.stage import Backdrop, device

REASONS = {
    Kind.CERTIFICATE_REVOKED: Reason.DEVICE_CERTIFICATE_REVOKED,
    Kind.CERTIFICATE_FOREIGN: Reason.DEVICE_CERTIFICATE_UNTRUSTED,
}


@pytest.mark.clause("R47")
@pytest.mark.parametrize("kind", sorted(REASONS))
async def test_a_device_with_a_bad_certificate_is_refused(
    backdrop: Backdrop, tmp_path: Path, kind: Kind
) -> None:
    async with backdrop.stage(tmp_path, device(kind=kind)) as stage:
        outcome = await stage.end_of()

        assert (outcome.state, outcome.reason) == (State.REFUSED, REASONS[kind])
        assert "validate the certificate" in outcome.detail
        assert not stage.devices[0].is_owned
