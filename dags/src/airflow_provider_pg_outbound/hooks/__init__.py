"""Hooks: the connection to a pg_outbound database."""
