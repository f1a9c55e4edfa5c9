"""What makes it a daemon: settings, logging, supervision, health, metrics, systemd."""
