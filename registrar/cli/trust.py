"""``registrar trust``: whom the site trusts."""

from __future__ import annotations

import click

from registrar.cli.root import Commands, examples


@click.group(
    cls=Commands,
    epilog=examples(
        "registrar trust add plant ticket_authorities maker.pem",
        "registrar trust list plant",
    ),
    modules={
        "add": "trust_add",
        "list": "trust_list",
        "remove": "trust_remove",
        "stop": "trust_stop",
    },
)
def command() -> None:
    """Manage the five lists of certificates and CRLs a site trusts.

    \b
    ticket_authorities           who may sign Tickets
    device_identity_authorities  who may issue DeviceIdentity Certificates
    administrators               who may call this Registrar
    applications                 further applications of the site
    site_authorities             whose certificates the site's devices trust
    """
