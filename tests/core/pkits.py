"""The tests of NIST PKITS as a table: number, target certificate, expected verdict, exclusion.

A number that is excluded is still judged: it has to be refused, because every exclusion is of the
kind "our profile is stricter". Source: NIST PKITS 1.0.1 (2011), by the PyPI package
``cryptography-vectors``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

SECTIONS: Mapping[int, tuple[str, ...]] = {
    1: (
        "ValidCertificatePathTest1",
        "InvalidCASignatureTest2",
        "InvalidEESignatureTest3",
    ),
    2: (
        "InvalidCAnotBeforeDateTest1",
        "InvalidEEnotBeforeDateTest2",
        "Validpre2000UTCnotBeforeDateTest3",
        "ValidGeneralizedTimenotBeforeDateTest4",
        "InvalidCAnotAfterDateTest5",
        "InvalidEEnotAfterDateTest6",
        "Invalidpre2000UTCEEnotAfterDateTest7",
        "ValidGeneralizedTimenotAfterDateTest8",
    ),
    3: (
        "InvalidNameChainingTest1",
        "InvalidNameChainingOrderTest2",
        "ValidNameChainingWhitespaceTest3",
        "ValidNameChainingWhitespaceTest4",
        "ValidNameChainingCapitalizationTest5",
        "ValidNameUIDsTest6",
        "ValidRFC3280MandatoryAttributeTypesTest7",
        "ValidRFC3280OptionalAttributeTypesTest8",
        "ValidUTF8StringEncodedNamesTest9",
        "ValidRolloverfromPrintableStringtoUTF8StringTest10",
        "ValidUTF8StringCaseInsensitiveMatchTest11",
    ),
    4: (
        "InvalidMissingCRLTest1",
        "InvalidRevokedCATest2",
        "InvalidRevokedEETest3",
        "InvalidBadCRLSignatureTest4",
        "InvalidBadCRLIssuerNameTest5",
        "InvalidWrongCRLTest6",
        "ValidTwoCRLsTest7",
        "InvalidUnknownCRLEntryExtensionTest8",
        "InvalidUnknownCRLExtensionTest9",
        "InvalidUnknownCRLExtensionTest10",
        "InvalidOldCRLnextUpdateTest11",
        "Invalidpre2000CRLnextUpdateTest12",
        "ValidGeneralizedTimeCRLnextUpdateTest13",
        "ValidNegativeSerialNumberTest14",
        "InvalidNegativeSerialNumberTest15",
        "ValidLongSerialNumberTest16",
        "ValidLongSerialNumberTest17",
        "InvalidLongSerialNumberTest18",
        "ValidSeparateCertificateandCRLKeysTest19",
        "InvalidSeparateCertificateandCRLKeysTest20",
        "InvalidSeparateCertificateandCRLKeysTest21",
    ),
    5: (
        "ValidBasicSelfIssuedOldWithNewTest1",
        "InvalidBasicSelfIssuedOldWithNewTest2",
        "ValidBasicSelfIssuedNewWithOldTest3",
        "ValidBasicSelfIssuedNewWithOldTest4",
        "InvalidBasicSelfIssuedNewWithOldTest5",
        "ValidBasicSelfIssuedCRLSigningKeyTest6",
        "InvalidBasicSelfIssuedCRLSigningKeyTest7",
        "InvalidBasicSelfIssuedCRLSigningKeyTest8",
    ),
    6: (
        "InvalidMissingbasicConstraintsTest1",
        "InvalidcAFalseTest2",
        "InvalidcAFalseTest3",
        "ValidbasicConstraintsNotCriticalTest4",
        *(f"InvalidpathLenConstraintTest{number}" for number in (5, 6)),
        *(f"ValidpathLenConstraintTest{number}" for number in (7, 8)),
        *(f"InvalidpathLenConstraintTest{number}" for number in (9, 10, 11, 12)),
        *(f"ValidpathLenConstraintTest{number}" for number in (13, 14)),
        "ValidSelfIssuedpathLenConstraintTest15",
        "InvalidSelfIssuedpathLenConstraintTest16",
        "ValidSelfIssuedpathLenConstraintTest17",
    ),
    7: (
        "InvalidkeyUsageCriticalkeyCertSignFalseTest1",
        "InvalidkeyUsageNotCriticalkeyCertSignFalseTest2",
        "ValidkeyUsageNotCriticalTest3",
        "InvalidkeyUsageCriticalcRLSignFalseTest4",
        "InvalidkeyUsageNotCriticalcRLSignFalseTest5",
    ),
    13: (
        "ValidDNnameConstraintsTest1",
        *(f"InvalidDNnameConstraintsTest{number}" for number in (2, 3)),
        *(f"ValidDNnameConstraintsTest{number}" for number in (4, 5, 6)),
        *(f"InvalidDNnameConstraintsTest{number}" for number in (7, 8, 9, 10)),
        "ValidDNnameConstraintsTest11",
        *(f"InvalidDNnameConstraintsTest{number}" for number in (12, 13)),
        "ValidDNnameConstraintsTest14",
        *(f"InvalidDNnameConstraintsTest{number}" for number in (15, 16, 17)),
        *(f"ValidDNnameConstraintsTest{number}" for number in (18, 19)),
        "InvalidDNnameConstraintsTest20",
        "ValidRFC822nameConstraintsTest21",
        "InvalidRFC822nameConstraintsTest22",
        "ValidRFC822nameConstraintsTest23",
        "InvalidRFC822nameConstraintsTest24",
        "ValidRFC822nameConstraintsTest25",
        "InvalidRFC822nameConstraintsTest26",
        "ValidDNandRFC822nameConstraintsTest27",
        *(f"InvalidDNandRFC822nameConstraintsTest{number}" for number in (28, 29)),
        "ValidDNSnameConstraintsTest30",
        "InvalidDNSnameConstraintsTest31",
        "ValidDNSnameConstraintsTest32",
        "InvalidDNSnameConstraintsTest33",
        "ValidURInameConstraintsTest34",
        "InvalidURInameConstraintsTest35",
        "ValidURInameConstraintsTest36",
        "InvalidURInameConstraintsTest37",
        "InvalidDNSnameConstraintsTest38",
    ),
    14: (
        "ValiddistributionPointTest1",
        *(f"InvaliddistributionPointTest{number}" for number in (2, 3)),
        *(f"ValiddistributionPointTest{number}" for number in (4, 5)),
        "InvaliddistributionPointTest6",
        "ValiddistributionPointTest7",
        *(f"InvaliddistributionPointTest{number}" for number in (8, 9)),
        "ValidNoissuingDistributionPointTest10",
        "InvalidonlyContainsUserCertsTest11",
        "InvalidonlyContainsCACertsTest12",
        "ValidonlyContainsCACertsTest13",
        "InvalidonlyContainsAttributeCertsTest14",
        *(f"InvalidonlySomeReasonsTest{number}" for number in (15, 16, 17)),
        *(f"ValidonlySomeReasonsTest{number}" for number in (18, 19)),
        *(f"InvalidonlySomeReasonsTest{number}" for number in (20, 21)),
        "ValidIDPwithindirectCRLTest22",
        "InvalidIDPwithindirectCRLTest23",
        *(f"ValidIDPwithindirectCRLTest{number}" for number in (24, 25)),
        "InvalidIDPwithindirectCRLTest26",
        "InvalidcRLIssuerTest27",
        *(f"ValidcRLIssuerTest{number}" for number in (28, 29, 30)),
        *(f"InvalidcRLIssuerTest{number}" for number in (31, 32)),
        "ValidcRLIssuerTest33",
        *(f"InvalidcRLIssuerTest{number}" for number in (34, 35)),
    ),
    15: (
        "InvaliddeltaCRLIndicatorNoBaseTest1",
        "ValiddeltaCRLTest2",
        *(f"InvaliddeltaCRLTest{number}" for number in (3, 4)),
        "ValiddeltaCRLTest5",
        "InvaliddeltaCRLTest6",
        *(f"ValiddeltaCRLTest{number}" for number in (7, 8)),
        *(f"InvaliddeltaCRLTest{number}" for number in (9, 10)),
    ),
    16: (
        "ValidUnknownNotCriticalCertificateExtensionTest1",
        "InvalidUnknownCriticalCertificateExtensionTest2",
    ),
}
"""Targets by section, in the order of their numbers."""

LEFT_OUT: Mapping[str, str] = {
    "4.1.4, 4.1.5, 4.1.6": "DSA: no algorithm of OPC UA, refused as a key that cannot sign",
    "4.8 to 4.12": "certificate policies: OPC UA gives them no meaning (OPC 10000-6 §6.2.2)",
}
"""What stands in no section above, and why."""

_OTHER_KEY = "a CRL counts only where a CA of the certificate's own path signed it"
_DELTA = "a CRL with freshestCRL is refused, because what its deltas add is not read"
_PARTIAL = "a CRL with issuingDistributionPoint is refused: partial or indirect"

EXCLUDED: Mapping[str, str] = {
    "4.4.19": _OTHER_KEY,
    "4.5.3": _OTHER_KEY,
    "4.5.4": _OTHER_KEY,
    "4.5.6": _OTHER_KEY,
    **{
        f"4.14.{number}": _PARTIAL
        for number in (1, 4, 5, 7, 13, 18, 19, 22, 24, 25, 28, 29, 30, 33)
    },
    **{f"4.15.{number}": _DELTA for number in (2, 5, 7, 8)},
}
"""Valid in PKITS and refused by us, with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One test of PKITS."""

    number: str
    target: str
    """Name of the file of the end entity, without its ending."""

    is_valid: bool
    """As PKITS has it."""


def vectors() -> Iterator[Vector]:
    """Yield every test of the sections above."""
    for section, targets in SECTIONS.items():
        for at, target in enumerate(targets, 1):
            assert target.endswith(f"Test{at}"), target
            yield Vector(
                number=f"4.{section}.{at}",
                target=f"{target}EE",
                is_valid=target.startswith("Valid"),
            )
