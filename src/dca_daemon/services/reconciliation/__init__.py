"""The parts of `services/reconcile.py`: each compares one side with the books, page by page."""
