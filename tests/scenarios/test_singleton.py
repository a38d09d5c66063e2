"""A singleton is its own and only application.

    applications CA ─▶ ordinary application certificate (URI)      no DCA Certificate anywhere

"the Registrar issues an ordinary Application Instance Certificate" (OPC 10000-21 §7.3, §9.3.3).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from registrar.ca.profiles import Profile
from registrar.core.certificate import Certificate
from registrar.core.enrolment import State
from tests.onboarding.stage import Backdrop, device


@pytest.mark.clause("R127")
@pytest.mark.parametrize("outdated", [False, True])
async def test_a_singleton_gets_one_ordinary_certificate(
    backdrop: Backdrop, tmp_path: Path, outdated: bool
) -> None:
    async with backdrop.stage(tmp_path, device(singleton=True, outdated=outdated)) as stage:
        outcome = await stage.end_of()

        assert outcome.state is (State.SOFTWARE_PENDING if outdated else State.ONBOARDED)
        (issuance,) = stage.issued()
        assert issuance.profile == Profile.APPLICATION
        certificate = Certificate.from_der(issuance.certificate or b"")
        authorities = stage.site.authorities
        assert certificate.issuer_bytes == authorities.applications.certificate.subject_bytes
        trust_list = stage.devices[0].configuration.dca.trust_list
        known = {*trust_list.trusted_certificates, *trust_list.issuer_certificates}
        assert authorities.dca.certificate.der not in known
