"""What can be done: the one place that the command line, the API, the pages and the daemon call."""
