"""Nodes of newer editions than the lists the table is made from.

The RegistrarAdmin Role of the Onboarding model 1.05.04 (OPC 10000-21 §9; ids 5034 to 5051), an
Object of RoleType (OPC 10000-18 §4.3) below RoleSet.
"""

from __future__ import annotations

from dataclasses import dataclass

from asyncua import ua

from registrar.wire import builtin
from registrar.wire.nodes.raw import RawNode, RawReference

ONBOARDING = "http://opcfoundation.org/UA/Onboarding/"

HAS_TYPE_DEFINITION = 40
HAS_PROPERTY = 46
HAS_COMPONENT = 47
ROLE_SET = 15606
ROLE_TYPE = 15620
PROPERTY_TYPE = 68
ARGUMENT = 296
BOOLEAN = 1
STRING = 12
IDENTITY_MAPPING_RULE_TYPE = 15634
ENDPOINT_TYPE = 15528


@dataclass(frozen=True, slots=True, kw_only=True)
class NewerNode:
    """One node by hand; ``parent`` without namespace is of namespace 0 if ``standard_parent``."""

    namespace: str
    identifier: int
    name: str
    parent: int
    standard_parent: bool = False
    node_class: ua.NodeClass = ua.NodeClass.Variable
    data_type: int = 0
    value_rank: int = -1
    arguments: tuple[tuple[str, int], ...] = ()
    """Names and data types of the arguments, where the node is an argument list."""

    def node(self, namespace: int) -> RawNode:
        """Return the node with ``namespace`` for its namespace."""
        own_name = self.node_class is ua.NodeClass.Object
        return RawNode(
            key=namespace << 32 | self.identifier,
            node_class=int(self.node_class),
            namespace=namespace if own_name else 0,
            name=self.name,
            data_type=self.data_type,
            value_rank=self.value_rank,
            value=self._value(),
        )

    def references(self, namespace: int) -> list[RawReference]:
        """Return the reference from the parent, and the one to the type."""
        key = namespace << 32 | self.identifier
        parent = self.parent if self.standard_parent else namespace << 32 | self.parent
        variable = self.node_class is ua.NodeClass.Variable
        references = [RawReference(parent, HAS_PROPERTY if variable else HAS_COMPONENT, key)]
        if variable:
            references.append(RawReference(key, HAS_TYPE_DEFINITION, PROPERTY_TYPE))
        elif self.node_class is ua.NodeClass.Object:
            references.append(RawReference(key, HAS_TYPE_DEFINITION, ROLE_TYPE))
        return references

    def _value(self) -> ua.Variant | None:
        if not self.arguments:
            return None
        values = [
            ua.Argument(Name=name, DataType=builtin.node_id(kind), ValueRank=-1, ArrayDimensions=[])
            for name, kind in self.arguments
        ]
        return ua.Variant(values, ua.VariantType.ExtensionObject, is_array=True)


def _property(identifier: int, name: str, data_type: int, *, array: bool) -> NewerNode:
    return NewerNode(
        namespace=ONBOARDING,
        identifier=identifier,
        name=name,
        parent=5034,
        data_type=data_type,
        value_rank=1 if array else -1,
    )


def _method(identifier: int, name: str, argument: str, data_type: int) -> tuple[NewerNode, ...]:
    method = NewerNode(
        namespace=ONBOARDING,
        identifier=identifier,
        name=name,
        parent=5034,
        node_class=ua.NodeClass.Method,
    )
    inputs = NewerNode(
        namespace=ONBOARDING,
        identifier=identifier + 1,
        name="InputArguments",
        parent=identifier,
        data_type=ARGUMENT,
        value_rank=1,
        arguments=((argument, data_type),),
    )
    return method, inputs


NEWER: tuple[NewerNode, ...] = (
    NewerNode(
        namespace=ONBOARDING,
        identifier=5034,
        name="RegistrarAdmin",
        parent=ROLE_SET,
        standard_parent=True,
        node_class=ua.NodeClass.Object,
    ),
    _property(5035, "Identities", IDENTITY_MAPPING_RULE_TYPE, array=True),
    _property(5036, "ApplicationsExclude", BOOLEAN, array=False),
    _property(5037, "Applications", STRING, array=True),
    _property(5038, "EndpointsExclude", BOOLEAN, array=False),
    _property(5039, "Endpoints", ENDPOINT_TYPE, array=True),
    _property(5040, "CustomConfiguration", BOOLEAN, array=False),
    *_method(5041, "AddIdentity", "Rule", IDENTITY_MAPPING_RULE_TYPE),
    *_method(5043, "RemoveIdentity", "Rule", IDENTITY_MAPPING_RULE_TYPE),
    *_method(5045, "AddApplication", "ApplicationUri", STRING),
    *_method(5047, "RemoveApplication", "ApplicationUri", STRING),
    *_method(5049, "AddEndpoint", "Endpoint", ENDPOINT_TYPE),
    *_method(5051, "RemoveEndpoint", "Endpoint", ENDPOINT_TYPE),
)
