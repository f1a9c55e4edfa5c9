"""The ATM's database: read only, never harmed."""
