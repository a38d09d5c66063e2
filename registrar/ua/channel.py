"""Both ends of a SecureChannel without I/O: bytes in, events and bytes out (OPC 10000-6 §6.7).

    ClientChannel                                 ServerChannel
    hello() ─────────────── HEL ────────────────▶ HelloReceived
    Acknowledged ◀───────── ACK ───────────────── acknowledge()
    open_request() ──────── OPN ────────────────▶ OpenReceived
                                                  process_open() → OpenRequested; trust is decided
    OpenReceived ◀───────── OPN ───────────────── accept_open()
    process_open() → ChannelOpened
    send() ──────────────── MSG ────────────────▶ MessageReceived
    MessageReceived ◀────── MSG ───────────────── send()
    close_message() ─────── CLO ────────────────▶ CloseReceived

The private-key work of an OPN is in ``open_request``, ``process_open`` and ``accept_open`` alone,
so that a caller may move it into a thread. Time, nonces and trust come in as arguments. After an
error the channel is closed; ``error_message`` gives the ERR that tells the peer what it may hear.
"""

from __future__ import annotations

from registrar.ua.client_channel import ClientChannel
from registrar.ua.events import ChannelState
from registrar.ua.server_channel import ServerChannel

__all__ = ["ChannelState", "ClientChannel", "ServerChannel"]
