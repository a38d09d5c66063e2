"""Which names a CA may give to those below it.

A name of a form that a CA limits has to lie in one of the permitted subtrees and in no excluded
one; a limit of a form we cannot compare refuses every name of that form.
Source: RFC 5280 §4.2.1.10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from registrar.core.certificate import Certificate
from registrar.core.names import canonical


def breach(constraints: x509.NameConstraints, certificate: Certificate) -> str:
    """Say which name of ``certificate`` the constraints forbid; empty where none is."""
    permitted = constraints.permitted_subtrees or []
    excluded = constraints.excluded_subtrees or []
    limited = {type(base) for base in (*permitted, *excluded)}
    for name in _names_of(certificate):
        form = type(name)
        if form not in limited:
            continue
        allowed = [base for base in permitted if type(base) is form]
        is_in = _FORMS.get(form)
        if (
            is_in is None
            or (allowed and not any(is_in(name.value, base.value) for base in allowed))
            or any(is_in(name.value, base.value) for base in excluded if type(base) is form)
        ):
            return f"{form.__name__} {str(name.value)[:80]!r}"
    return ""


def _names_of(certificate: Certificate) -> Iterator[x509.GeneralName]:
    subject = certificate.parsed.subject
    if list(subject):
        yield x509.DirectoryName(subject)
    try:
        extension = certificate.parsed.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        for attribute in subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS):
            yield x509.RFC822Name(str(attribute.value))
    else:
        yield from extension.value


def _is_directory_in(name: x509.Name, base: x509.Name) -> bool:
    wanted = canonical(base.public_bytes())
    return canonical(name.public_bytes())[: len(wanted)] == wanted


def _is_host_in(name: str, base: str) -> bool:
    name, base = name.lower(), base.lower().removeprefix(".")
    return not base or name == base or name.endswith(f".{base}")


def _is_uri_in(name: str, base: str) -> bool:
    """Compare hosts; a URI without one, such as a URN, lies in no subtree."""
    try:
        host = urlsplit(name).hostname
    except ValueError:
        return False
    return host is not None and _is_domain_in(host, base)


def _is_mailbox_in(name: str, base: str) -> bool:
    local, _, host = name.rpartition("@")
    if "@" in base:
        base_local, _, base_host = base.rpartition("@")
        return local == base_local and host.lower() == base_host.lower()
    return _is_domain_in(host, base)


def _is_domain_in(host: str, base: str) -> bool:
    """Compare with one host, or, where ``base`` begins with a dot, with all below it."""
    host, base = host.lower(), base.lower()
    return host.endswith(base) if base.startswith(".") else host == base


_FORMS: Mapping[type[x509.GeneralName], Callable[[Any, Any], bool]] = {
    x509.DirectoryName: _is_directory_in,
    x509.DNSName: _is_host_in,
    x509.UniformResourceIdentifier: _is_uri_in,
    x509.RFC822Name: _is_mailbox_in,
    x509.IPAddress: lambda name, base: name in base,
}
"""How each form is compared; a form that is missing lies in no subtree."""
