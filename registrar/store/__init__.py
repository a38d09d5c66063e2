"""The disk: one SQLite database a site, one transaction an arrow, its audit entry inside."""

from registrar.store.limits import StoreLimits
from registrar.store.store import Store
from registrar.store.transaction import Cause, Readable, Transaction

__all__ = ["Cause", "Readable", "Store", "StoreLimits", "Transaction"]
