"""Inputs nobody wrote: mutated Tickets, certificates and CRLs, and coverage-guided targets."""
