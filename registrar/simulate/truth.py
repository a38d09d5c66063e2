"""What is true of a pretended plant, for judging only; no Registrar ever reads it.

``truth.json`` names for each Device what it is and how it may end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registrar.errors import FileInvalid
from registrar.simulate.device import Device
from registrar.simulate.plant import Kind, Plan

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationTruth:
    """One configuration object of a Device: the DCA itself, or a managed application."""

    name: str
    application_uri: str
    node_id: str
    group: str
    trust_list: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTruth:
    """What one Device is."""

    url: str
    product_instance_uri: str
    serial_number: str
    model: str
    kind: Kind
    expected: tuple[tuple[str, str], ...]
    """The states it may end in, each with its reason; the reason is empty when onboarded."""
    twin: str | None
    """URL of the Device with the same ProductInstanceUri: exactly one of the two is onboarded."""
    singleton: bool
    applications: tuple[ApplicationTruth, ...]
    outdated: bool
    ticket_route: str
    validation: str
    composite: str
    owner: str = ""
    """SHA-1 thumbprint of the DCA Certificate another Registrar gave it, or nothing."""

    @property
    def is_genuine(self) -> bool:
        """Whether it is what it says."""
        return self.kind is Kind.GENUINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is true of a plant."""

    seed: int
    devices: tuple[DeviceTruth, ...]

    @property
    def genuine(self) -> int:
        """How many Devices are genuine."""
        return sum(device.is_genuine for device in self.devices)

    @property
    def impostors(self) -> int:
        """How many Devices are not genuine."""
        return len(self.devices) - self.genuine


def truth_of(plan: Plan, devices: tuple[Device, ...], owners: Mapping[int, str]) -> Truth:
    """Return the truth of a plant.

    Args:
        devices: in the order of the plan.
        owners: thumbprint of a foreign DCA Certificate, by index.
    """
    return Truth(
        seed=plan.seed,
        devices=tuple(_device_truth(device, devices, owners) for device in devices),
    )


def save_truth(path: Path, truth: Truth) -> None:
    """Write ``truth`` as JSON."""
    document = {
        "version": VERSION,
        "seed": truth.seed,
        "devices": [_device_json(device) for device in truth.devices],
    }
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")


def load_truth(path: Path) -> Truth:
    """Read what ``save_truth`` wrote.

    Raises:
        FileInvalid: it is another file.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Truth(
            seed=int(document["seed"]),
            devices=tuple(_from_json(item) for item in document["devices"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise FileInvalid(f"no truth: {str(error)[:80]}", subject=path.name) from error


def _device_truth(
    device: Device, devices: tuple[Device, ...], owners: Mapping[int, str]
) -> DeviceTruth:
    plan = device.product.plan
    configuration = device.configuration
    model_objects = device.configuration_objects
    return DeviceTruth(
        url=device.url,
        product_instance_uri=plan.product_instance_uri,
        serial_number=plan.serial_number,
        model=plan.model,
        kind=plan.kind,
        expected=tuple((str(o.state), str(o.reason or "")) for o in plan.expected),
        twin=devices[plan.twin].url if plan.twin is not None else None,
        singleton=plan.singleton,
        applications=tuple(
            ApplicationTruth(
                name=f"application-{at}",
                application_uri=configuration.application_uris[at],
                node_id=model_objects[at].node.to_string(),
                group=model_objects[at].group.to_string(),
                trust_list=model_objects[at].trust_list.to_string(),
            )
            for at in range(1, len(configuration.groups))
        ),
        outdated=plan.outdated,
        ticket_route=str(plan.route),
        validation=str(plan.validation),
        composite=plan.composite,
        owner=owners.get(plan.index, ""),
    )


def _device_json(device: DeviceTruth) -> dict[str, Any]:
    return {
        "url": device.url,
        "product_instance_uri": device.product_instance_uri,
        "serial_number": device.serial_number,
        "model": device.model,
        "kind": str(device.kind),
        "genuine": device.is_genuine,
        "expected": [{"state": state, "reason": reason} for state, reason in device.expected],
        "twin": device.twin,
        "singleton": device.singleton,
        "applications": [
            {
                "name": item.name,
                "application_uri": item.application_uri,
                "node_id": item.node_id,
                "group": item.group,
                "trust_list": item.trust_list,
            }
            for item in device.applications
        ],
        "outdated": device.outdated,
        "ticket_route": device.ticket_route,
        "validation": device.validation,
        "composite": device.composite,
        "owner": device.owner,
    }


def _from_json(item: dict[str, Any]) -> DeviceTruth:
    fields = {name: value for name, value in item.items() if name != "genuine"}
    fields["kind"] = Kind(item["kind"])
    fields["expected"] = tuple((e["state"], e["reason"]) for e in item["expected"])
    fields["applications"] = tuple(ApplicationTruth(**a) for a in item["applications"])
    return DeviceTruth(**fields)
