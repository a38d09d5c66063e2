"""The information model of pretended Devices, shared by all of one process.

    Server ─┬─ ServerConfiguration ─ CertificateGroups ─ DefaultApplicationGroup ─ TrustList
            └─ Resources ─┬─ ProvisionableDevice ── IsSingleton, RequestTickets,
                          │      └─ application 1…         SetRegistrarEndpoints
                          └─ ManagedApplications
                                 └─ application 1…  (a Device uses one place or the other)

Every Device numbers its own nodes alike, so that one table of Methods serves them all. Source:
OPC 10000-21 §9.3, OPC 10000-12 §7.10.4, §7.10.14 to §7.10.16.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from asyncua import ua

from registrar.wire.instances import make_template
from registrar.wire.nodes import NodeTable, load_node_table, node_id_of
from registrar.wire.space import FIRST_OWN_ID


def node_id(identifier: int, namespace: int = 0) -> ua.NodeId:
    """Return a numeric NodeId."""
    return node_id_of(namespace << 32 | identifier)


SERVER_CONFIGURATION = node_id(12637)
CERTIFICATE_GROUPS = node_id(14053)
DEFAULT_GROUP = node_id(14156)
DEFAULT_TRUST_LIST = node_id(12642)
PROVISIONABLE_DEVICE = node_id(29878)
MANAGED_APPLICATIONS = node_id(16706)
APPLICATION_CONFIGURATION_TYPE = node_id(25731)
SECURITY_ADMIN = node_id(15704)
OWN = 1
"""Index of a Device's own namespace."""

GET_CERTIFICATES = node_id(1, OWN)
SUPPORTS_TRANSACTIONS = node_id(2, OWN)
IN_APPLICATION_SETUP = node_id(3, OWN)
SET_REGISTRAR_ENDPOINTS = node_id(4, OWN)
MAX_BYTE_STRING_LENGTH = node_id(5, OWN)
ACTIVITY_TIMEOUT = node_id(6, OWN)
MAX_APPLICATIONS = 3
GROUP = "CertificateGroups/DefaultApplicationGroup"

UNUSED = tuple(map(node_id, (15892, 17732, 18155, 24290, 14088, 14122)))
"""ConfigurationFile, AuthorizationServices, KeyCredentialConfiguration, UserManagement,
DefaultHttpsGroup and DefaultUserTokenGroup: optional, and not offered."""

ROLE_APPLICATIONS = (15430, 16259, 16261, 16263)
"""ApplicationsExclude, Applications, AddApplication and RemoveApplication of the Role."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationObject:
    """NodeIds of one configuration object."""

    node: ua.NodeId
    group: ua.NodeId
    trust_list: ua.NodeId


DCA_OBJECT = ConfigurationObject(
    node=SERVER_CONFIGURATION, group=DEFAULT_GROUP, trust_list=DEFAULT_TRUST_LIST
)


class Model:
    """What the Devices of one process share: the nodes, and where each object's are."""

    def __init__(self, table: NodeTable) -> None:
        self.table = table
        optional = ("GetCertificates", "CancelChanges", "SupportsTransactions")
        self.template = make_template(table, APPLICATION_CONFIGURATION_TYPE, optional)
        """The members of an application's configuration object."""
        applications = [self._application(at) for at in range(MAX_APPLICATIONS)]
        self.objects = (DCA_OBJECT, *applications)
        """ServerConfiguration, then the applications; a Device has the first ones."""
        self._hidden: dict[tuple[bool, bool, bool], frozenset[int]] = {}

    def member(self, at: int, path: str) -> ua.NodeId:
        """Return the NodeId of a member of configuration object ``at``, from 1."""
        base = FIRST_OWN_ID + (at - 1) * len(self.template.members)
        return node_id(base + self.template.places[path], OWN)

    def hides(self, *, roles: bool, folder: bool, lists: bool) -> frozenset[int]:
        """Return the nodes of the table that a Device does not show.

        Args:
            roles: it offers the SecurityAdmin Role.
            folder: its applications are in ManagedApplications.
            lists: it limits the Role to listed applications.
        """
        key = (roles, folder, lists)
        if key not in self._hidden:
            gone = list(UNUSED)
            gone += [] if roles else [SECURITY_ADMIN]
            gone += [] if folder else [MANAGED_APPLICATIONS]
            gone += [] if lists else map(node_id, ROLE_APPLICATIONS)
            self._hidden[key] = frozenset(k for node in gone for k in self.table.subtree(node))
        return self._hidden[key]

    def _application(self, at: int) -> ConfigurationObject:
        return ConfigurationObject(
            node=self.member(at + 1, ""),
            group=self.member(at + 1, GROUP),
            trust_list=self.member(at + 1, f"{GROUP}/TrustList"),
        )


@lru_cache(maxsize=1)
def load_model() -> Model:
    """Return the model over the package's node table; made once per process."""
    return Model(load_node_table())
