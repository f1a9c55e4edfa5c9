"""What can be done, by subject: see `web/actions.py`."""
