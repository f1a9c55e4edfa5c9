"""The console: pages for people, an API for programs. It calls the services, and holds no rules."""
