"""Sockets: a Client that asks Servers, and a Listener that makes a Server of an application."""

from registrar.wire.application import Application
from registrar.wire.client import ChannelSecurity, Client, UserToken
from registrar.wire.instances import Instance, Template, make_template
from registrar.wire.key_queue import KeyQueue
from registrar.wire.limits import ClientLimits, ServerLimits
from registrar.wire.methods import Argument, Method, MethodTable, Mode
from registrar.wire.nodes import NodeTable, load_node_table
from registrar.wire.peers import Peer, Role, Session
from registrar.wire.server import Listener
from registrar.wire.space import Access, AddressSpace
from registrar.wire.unfinished import UnfinishedMessages

__all__ = [
    "Access",
    "AddressSpace",
    "Application",
    "Argument",
    "ChannelSecurity",
    "Client",
    "ClientLimits",
    "Instance",
    "KeyQueue",
    "Listener",
    "Method",
    "MethodTable",
    "Mode",
    "NodeTable",
    "Peer",
    "Role",
    "ServerLimits",
    "Session",
    "Template",
    "UnfinishedMessages",
    "UserToken",
    "load_node_table",
    "make_template",
]
