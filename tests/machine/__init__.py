"""An empty Debian with a real systemd, on which everything is installed as the README says: `make machine`."""
