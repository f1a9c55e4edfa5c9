"""Clients as a file: written by one installation, read by another. docs/client-data.md tells the format."""
