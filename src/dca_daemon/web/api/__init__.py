"""The API for programs, /api/v1: typed, tokens only, the same services as the pages."""
