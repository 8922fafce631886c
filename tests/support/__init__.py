"""Real parts for tests: throw-away PostgreSQL clusters, an SFTP server, a GnuPG home, the worker.

Nothing here stands in for anything: each module starts the program that production would meet, on
loop-back and a free port, and stops it again. The fixtures over them are in `support.fixtures`; the
demonstration and the benchmarks use the modules directly.
"""
