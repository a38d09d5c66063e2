"""How a Device can break the rules, on request (part12 checklist 27; threat-model F14 to F37)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from registrar.simulate.plant import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehaviour:
    """What is wrong with a Device; nothing by default."""

    ignores_changes: bool = False
    """ApplyChanges answers Good and changes nothing."""
    always_pending: bool = False
    """Another Registrar never ends its transaction: Bad_TransactionPending for ever."""
    silent: bool = False
    """Accepts connections and Sessions, and never answers a call."""
    loses_apply_response: bool = False
    """Applies the changes and cuts the connection before it answers (F32, F37)."""
    refuses_tcp_s: float = 0.0
    """Seconds for which nobody listens after ApplyChanges."""
    max_trust_list_size: int | None = None
    """Bytes; a limit that is too small for the site's TrustList (F34)."""

    def __bool__(self) -> bool:
        return self != HONEST


HONEST = Misbehaviour()

MISBEHAVIOURS: Mapping[Kind, Misbehaviour] = {
    Kind.CHANGES_IGNORED: Misbehaviour(ignores_changes=True),
}
"""The rest of the impostors are wrong by what they are, not by what they do."""
