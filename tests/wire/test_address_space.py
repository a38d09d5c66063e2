"""One Server's view of the nodes: overlay, instances, attributes, Browse and Translate."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds

from registrar.errors import AccessDenied, Misuse
from registrar.status import StatusCode
from registrar.ua.security_policy import BASIC256SHA256
from registrar.wire import Access, AddressSpace, Peer, Role, Session, make_template
from registrar.wire.attributes import READERS, read, write
from registrar.wire.browsing import (
    MAX_PATH_ELEMENTS,
    ContinuationPoints,
    browse,
    browse_next,
    translate,
)
from registrar.wire.builtin import node_id
from registrar.wire.nodes import DI_NAMESPACE, GDS_NAMESPACE, NodeKey, load_node_table
from registrar.wire.paths import MAX_KEPT, MAX_SIZE
from tests.wire.plant import ENCRYPT, OBJECTS, SERVER_URI, path_to, string, value_of

TABLE = load_node_table()
SERVER_CONFIGURATION = node_id(12637)
APPLICATION_CONFIGURATION_TYPE = node_id(25731)
NAME = ua.QualifiedName("Thing", 1)
THING = node_id("thing", 1)


class Numbers:
    """Continuation points that can be told apart."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self, size: int) -> bytes:
        self._last += 1
        return self._last.to_bytes(size, "big")


@pytest.fixture
def space() -> AddressSpace:
    """Return a space of its own."""
    return AddressSpace(TABLE, application_uri=SERVER_URI)


@pytest.fixture
def session(space: AddressSpace) -> Session:
    """Return a Session without Roles."""
    application: Any = None
    peer = Peer(address="127.0.0.1", policy=BASIC256SHA256, mode=ENCRYPT, certificate=b"")
    return Session(id=node_id(1, 1), peer=peer, application=application)


def attribute(
    space: AddressSpace, session: Session, node: ua.NodeId, wanted: AttributeIds
) -> ua.DataValue:
    """Read one attribute."""
    item = ua.ReadValueId(NodeId=node)
    item.AttributeId = ua.UInt32(wanted)
    return read(space, session, item)


def status_of(result: ua.DataValue) -> StatusCode:
    """Return the status of what was read."""
    assert result.StatusCode is not None
    return StatusCode(result.StatusCode.value)


def names_below(space: AddressSpace, node: ua.NodeId, *, inverse: bool = False) -> list[str]:
    """Return the names of hierarchical neighbours."""
    direction = ua.BrowseDirection.Inverse if inverse else ua.BrowseDirection.Forward
    item = ua.BrowseDescription(
        NodeId=node,
        BrowseDirection=direction,
        ReferenceTypeId=node_id(33),
        ResultMask=ua.UInt32(63),
    )
    result = browse(space, item, ContinuationPoints(1, Numbers()), 10_000)
    assert result.StatusCode.is_good()
    return [str(reference.BrowseName.Name) for reference in result.References]


# Overlay


def test_what_is_added_is_seen_from_both_sides(space: AddressSpace, session: Session) -> None:
    space.add_object(THING, NAME, OBJECTS)
    space.add_variable(node_id(5, 1), "Size", THING, string("big"), data_type=12)

    assert "Thing" in names_below(space, OBJECTS)
    assert names_below(space, THING) == ["Size"]
    assert names_below(space, THING, inverse=True) == ["Objects"]
    assert value_of(attribute(space, session, node_id(5, 1), AttributeIds.Value)) == "big"


def test_two_servers_share_the_table_and_nothing_else(space: AddressSpace) -> None:
    other = AddressSpace(TABLE, application_uri="urn:other")
    space.add_object(THING, NAME, OBJECTS)

    assert "Thing" not in names_below(other, OBJECTS)
    assert other.get((1, "thing")) is None


def test_siblings_share_their_nodes_until_one_of_them_changes(space: AddressSpace) -> None:
    space.add_object(THING, NAME, OBJECTS)
    first = space.sibling("urn:first", lambda _: None)
    second = space.sibling("urn:second", lambda _: None)
    template = make_template(TABLE, APPLICATION_CONFIGURATION_TYPE)

    first.add_instance(template, ua.QualifiedName("Extra", 1), OBJECTS)
    space.remove(THING)
    second.hide([SERVER_CONFIGURATION])

    assert {"Thing", "Extra"} <= {*names_below(first, OBJECTS)}
    assert "Thing" not in names_below(space, OBJECTS)
    assert "Thing" in names_below(second, OBJECTS)
    assert "Extra" not in names_below(second, OBJECTS)
    assert second.get(12637) is None
    assert first.get(12637) is not None
    assert [one.namespaces[1] for one in (space, first, second)] == [
        SERVER_URI,
        "urn:first",
        "urn:second",
    ]


def test_each_sibling_has_values_of_its_own(space: AddressSpace, session: Session) -> None:
    space.add_variable(node_id(5, 1), "Size", OBJECTS, string("of all"), data_type=12)
    space.add_variable(node_id(6, 1), "Name", OBJECTS, string("of all"), data_type=12)
    names: dict[NodeKey, ua.Variant] = {1 << 32 | 6: string("its own")}
    sibling = space.sibling("urn:other", names.get)

    sibling.set_value(node_id(5, 1), string("changed"))

    seen = [
        value_of(attribute(one, session, node, AttributeIds.Value))
        for one in (space, sibling)
        for node in (node_id(5, 1), node_id(6, 1))
    ]
    assert seen == ["of all", "of all", "changed", "its own"]


def test_a_node_is_added_once(space: AddressSpace) -> None:
    space.add_object(THING, NAME, OBJECTS)

    with pytest.raises(Misuse):
        space.add_object(THING, NAME, OBJECTS)
    with pytest.raises(Misuse):
        space.add_object(SERVER_CONFIGURATION, NAME, OBJECTS)


def test_what_is_removed_is_gone_with_its_members(space: AddressSpace) -> None:
    space.add_object(THING, NAME, OBJECTS)
    space.add_variable(node_id(5, 1), "Size", THING, string("big"), data_type=12)

    space.remove(THING)

    assert "Thing" not in names_below(space, OBJECTS)
    assert space.get((1, "thing")) is None
    assert space.get(1 << 32 | 5) is None


def test_a_method_takes_the_arguments_of_its_declaration(
    space: AddressSpace, session: Session
) -> None:
    space.add_object(THING, NAME, OBJECTS)
    method = space.add_method(space.new_id(), "Open", THING, declaration=node_id(11580))

    found = translate(space, path_to(method, "InputArguments"))
    assert found.StatusCode.value == StatusCode.BadNoMatch  # their names are of namespace 0
    assert names_below(space, method) == ["InputArguments", "OutputArguments"]


def test_a_path_followed_before_is_followed_anew_after_a_change(space: AddressSpace) -> None:
    space.add_object(THING, NAME, OBJECTS)
    sibling = space.sibling("urn:other", lambda _: None)
    found = [translate(one, path_to(OBJECTS, "Thing")) for one in (space, space, sibling)]

    space.remove(THING)

    assert found[0] is found[1] is found[2]
    assert translate(space, path_to(OBJECTS, "Thing")).StatusCode.value == StatusCode.BadNoMatch
    assert translate(sibling, path_to(OBJECTS, "Thing")) is found[0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ReferenceTypeId", node_id(35)),
        ("IsInverse", True),
        ("IncludeSubtypes", False),
        ("TargetName", ua.QualifiedName("Thing", 0)),
        ("TargetName", ua.QualifiedName("Other", 1)),
    ],
)
def test_a_path_is_not_taken_for_another(space: AddressSpace, field: str, value: object) -> None:
    space.add_object(THING, NAME, OBJECTS, reference=46)
    translate(space, path_to(OBJECTS, "Thing"))
    other = path_to(OBJECTS, "Thing")
    setattr(other.RelativePath.Elements[0], field, value)

    result = translate(space, other)

    assert result.StatusCode.value == StatusCode.BadNoMatch


def test_only_so_many_paths_are_kept(space: AddressSpace) -> None:
    for number in range(MAX_KEPT + 1):
        space.add_object(node_id(number + 1, 1), ua.QualifiedName(f"{number}", 1), OBJECTS)

    for number in range(MAX_KEPT + 1):
        assert translate(space, path_to(OBJECTS, f"{number}")).StatusCode.is_good()
        assert len(space.paths) <= MAX_KEPT

    assert len(space.paths) == 1


def test_a_path_that_leads_nowhere_is_found_once_its_end_is_there(space: AddressSpace) -> None:
    nowhere = [translate(space, path_to(OBJECTS, "Thing")) for _ in range(2)]

    space.add_object(THING, NAME, OBJECTS)

    assert nowhere[0] is nowhere[1]
    assert nowhere[0].StatusCode.value == StatusCode.BadNoMatch
    assert translate(space, path_to(OBJECTS, "Thing")).StatusCode.is_good()


@pytest.mark.parametrize("names", [["x" * MAX_SIZE], ["x"] * 100, []])
def test_only_short_paths_are_kept(space: AddressSpace, names: list[str]) -> None:
    translate(space, path_to(OBJECTS, *["x" * 64] * 8))

    translate(space, path_to(OBJECTS, *names))

    assert len(space.paths) == 1


def test_companions_not_shown_are_unknown() -> None:
    space = AddressSpace(TABLE, application_uri=SERVER_URI, companions=[DI_NAMESPACE])

    assert space.namespaces == [TABLE.namespaces[0], SERVER_URI, DI_NAMESPACE]
    assert space.get(2 << 32 | 1) is not None
    assert space.get(4 << 32 | 1344) is None
    assert "DeviceRegistrar" not in names_below(space, OBJECTS)
    with pytest.raises(Misuse):
        AddressSpace(TABLE, application_uri=SERVER_URI, companions=[GDS_NAMESPACE])


def test_hidden_nodes_are_unknown() -> None:
    hidden = TABLE.subtree(node_id(29878))
    space = AddressSpace(TABLE, application_uri=SERVER_URI, hidden=hidden)

    assert space.get(29878) is None
    assert space.get(29880) is None
    assert "ProvisionableDevice" not in names_below(space, node_id(24226))


def test_a_namespace_is_found_by_its_uri(space: AddressSpace) -> None:
    assert space.namespace_index(DI_NAMESPACE) == 2
    assert space.add_namespace("urn:mine") == 5
    assert space.add_namespace("urn:mine") == 5
    with pytest.raises(Misuse):
        space.namespace_index("urn:other")


# Instances


def test_an_instance_has_the_members_of_its_type(space: AddressSpace, session: Session) -> None:
    template = make_template(TABLE, APPLICATION_CONFIGURATION_TYPE, ["GetCertificates"])

    instance = space.add_instance(template, ua.QualifiedName("Pump", 1), OBJECTS)

    children = names_below(space, instance.node())
    assert {"Enabled", "ApplicationUri", "UpdateCertificate", "GetCertificates"} <= set(children)
    assert "DeleteCertificate" not in children
    path = "CertificateGroups/DefaultApplicationGroup/TrustList/Open"
    assert instance.declaration("UpdateCertificate") == node_id(12616)
    assert attribute(space, session, instance.node(path), AttributeIds.BrowseName).Value
    space.set_value(instance.node("Enabled"), ua.Variant(True, ua.VariantType.Boolean))
    enabled = attribute(space, session, instance.node("Enabled"), AttributeIds.Value)
    assert value_of(enabled) is True


def test_an_instance_is_browsed_to_its_type(space: AddressSpace) -> None:
    template = make_template(TABLE, APPLICATION_CONFIGURATION_TYPE)
    instance = space.add_instance(template, ua.QualifiedName("Pump", 1), OBJECTS)

    item = ua.BrowseDescription(
        NodeId=OBJECTS, BrowseDirection=ua.BrowseDirection.Forward, ResultMask=ua.UInt32(63)
    )
    result = browse(space, item, ContinuationPoints(1, Numbers()), 1_000)

    (pump,) = [found for found in result.References if found.BrowseName.Name == "Pump"]
    assert pump.NodeId == instance.node()
    assert pump.TypeDefinition == APPLICATION_CONFIGURATION_TYPE
    assert pump.NodeClass is ua.NodeClass.Object


def test_an_instance_is_removed_as_a_whole(space: AddressSpace) -> None:
    template = make_template(TABLE, APPLICATION_CONFIGURATION_TYPE)
    first = space.add_instance(template, ua.QualifiedName("One", 1), OBJECTS)
    second = space.add_instance(template, ua.QualifiedName("Two", 1), OBJECTS)

    space.remove(first.node())

    names = names_below(space, OBJECTS)
    assert "One" not in names
    assert "Two" in names
    assert "Enabled" in names_below(space, second.node())


def test_a_template_has_only_members_of_its_type() -> None:
    with pytest.raises(Misuse):
        make_template(TABLE, APPLICATION_CONFIGURATION_TYPE, ["Nonsense"])
    with pytest.raises(Misuse):
        make_template(TABLE, node_id(999_999))


def test_a_thousand_instances_are_small(space: AddressSpace) -> None:
    """3,000 applications of 1,000 pretended Devices have some 200,000 nodes between them."""
    template = make_template(TABLE, APPLICATION_CONFIGURATION_TYPE)
    tracemalloc.start()
    for number in range(1_000):
        space.add_instance(template, ua.QualifiedName(f"App{number}", 1), OBJECTS)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(template.members) > 50
    assert size < 1_000 * 1_000


# Attributes


@pytest.mark.clause("OPC 10000-4 §5.11.2")
def test_every_class_has_its_attributes(space: AddressSpace, session: Session) -> None:
    has = {
        node_id(85): {1, 2, 3, 4, 6, 7, 12},
        node_id(2255): {1, 2, 3, 4, 6, 7, 13, 14, 15, 16, 17, 18, 19, 20},
        node_id(12740): {1, 2, 3, 4, 6, 7, 21, 22},
        node_id(58): {1, 2, 3, 4, 6, 7, 8},
        node_id(33): {1, 2, 3, 4, 6, 7, 8, 9, 10},
        node_id(12): {1, 2, 3, 4, 6, 7, 8},
    }
    optional = {10, 16}
    for node, expected in has.items():
        for number in sorted(set(READERS) | {13}):
            result = attribute(space, session, node, AttributeIds(number))
            if number in expected - optional:
                assert status_of(result) is StatusCode.Good, (node, number)
            elif number not in expected:
                assert status_of(result) is StatusCode.BadAttributeIdInvalid, (node, number)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"NodeId": node_id(999_999)}, StatusCode.BadNodeIdUnknown),
        ({"NodeId": node_id("x", 9)}, StatusCode.BadNodeIdUnknown),
        ({"AttributeId": 99}, StatusCode.BadAttributeIdInvalid),
        ({"IndexRange": "0:1"}, StatusCode.BadIndexRangeInvalid),
        (
            {"DataEncoding": ua.QualifiedName("Default XML", 0)},
            StatusCode.BadDataEncodingUnsupported,
        ),
        ({"NodeId": node_id(12643)}, StatusCode.BadNoValue),
    ],
)
def test_what_cannot_be_read_says_why(
    space: AddressSpace, session: Session, change: dict[str, Any], status: StatusCode
) -> None:
    item = ua.ReadValueId(NodeId=node_id(2255))
    item.AttributeId = ua.UInt32(13)
    for name, value in change.items():
        setattr(item, name, value)

    assert status_of(read(space, session, item)) is status


def test_every_server_tells_its_state(space: AddressSpace, session: Session) -> None:
    expected = {2255: space.namespaces, 2254: [SERVER_URI], 2259: 0, 2267: 255}

    for number, value in expected.items():
        result = attribute(space, session, node_id(number), AttributeIds.Value)
        assert value_of(result) == value
    status: Any = value_of(attribute(space, session, node_id(2256), AttributeIds.Value))
    assert status.State is ua.ServerState.Running
    assert status.StartTime == space.started


def test_a_writer_may_refuse(space: AddressSpace, session: Session) -> None:
    def refuse(_: Session, value: ua.Variant) -> None:
        raise AccessDenied(f"not {value.Value}")

    space.add_variable(
        THING,
        NAME,
        OBJECTS,
        string("x"),
        data_type=12,
        access=Access(writer=refuse, write_roles=None),
    )
    item = ua.WriteValue(NodeId=THING, Value=ua.DataValue(string("y")))
    item.AttributeId = ua.UInt32(13)

    assert write(space, session, item) is StatusCode.BadUserAccessDenied
    item.AttributeId = ua.UInt32(3)
    assert write(space, session, item) is StatusCode.BadNotWritable


def test_nobody_may_write_unless_said_so(space: AddressSpace, session: Session) -> None:
    space.add_variable(
        THING,
        NAME,
        OBJECTS,
        string("x"),
        data_type=12,
        access=Access(writer=lambda *_: None),
    )
    session.roles = frozenset(Role)
    item = ua.WriteValue(NodeId=THING, Value=ua.DataValue(string("y")))
    item.AttributeId = ua.UInt32(13)

    assert write(space, session, item) is StatusCode.BadUserAccessDenied


# Browse and Translate


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"NodeId": node_id(999_999)}, StatusCode.BadNodeIdUnknown),
        ({"ReferenceTypeId": node_id(85)}, StatusCode.BadReferenceTypeIdInvalid),
        ({"BrowseDirection": 7}, StatusCode.BadBrowseDirectionInvalid),
    ],
)
def test_what_cannot_be_browsed_says_why(
    space: AddressSpace, change: dict[str, Any], status: StatusCode
) -> None:
    item = ua.BrowseDescription(NodeId=OBJECTS)
    for name, value in change.items():
        setattr(item, name, value)

    result = browse(space, item, ContinuationPoints(1, Numbers()), 10)

    assert result.StatusCode.value == status


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_parts_of_a_browse_are_the_whole(space: AddressSpace, count: int) -> None:
    item = ua.BrowseDescription(NodeId=OBJECTS, ResultMask=ua.UInt32(63))
    points = ContinuationPoints(1, Numbers())
    whole = browse(space, item, points, 1_000).References

    result = browse(space, item, points, count)
    found = list(result.References)
    while result.ContinuationPoint:
        assert len(result.References) == count
        result = browse_next(points, result.ContinuationPoint, release=False)
        found += result.References

    assert found == whole
    assert len(points) == 0


def test_continuation_points_are_bounded_and_serve_once(space: AddressSpace) -> None:
    item = ua.BrowseDescription(NodeId=OBJECTS)
    points = ContinuationPoints(2, Numbers())
    first, second, third = (browse(space, item, points, 1) for _ in range(3))

    assert first.ContinuationPoint
    assert second.ContinuationPoint
    assert third.StatusCode.value == StatusCode.BadNoContinuationPoints
    released = browse_next(points, first.ContinuationPoint, release=True)
    assert released.StatusCode.is_good()
    assert not released.References
    again = browse_next(points, first.ContinuationPoint, release=False)
    assert again.StatusCode.value == StatusCode.BadContinuationPointInvalid
    assert browse(space, item, points, 1).ContinuationPoint


@pytest.mark.parametrize(
    ("count", "status"),
    [
        (0, StatusCode.BadNothingToDo),
        (MAX_PATH_ELEMENTS, StatusCode.BadNoMatch),
        (MAX_PATH_ELEMENTS + 1, StatusCode.BadTooManyOperations),
    ],
)
def test_a_path_is_only_so_long(space: AddressSpace, count: int, status: StatusCode) -> None:
    result = translate(space, path_to(OBJECTS, *["Nothing"] * count))

    assert result.StatusCode.value == status
