"""Clients and balances that come from another program."""
