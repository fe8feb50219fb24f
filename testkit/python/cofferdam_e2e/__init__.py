"""A client of a running mesh in Python, written against the published protos alone, for the end-to-end tests."""
