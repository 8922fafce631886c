"""How fast, how much memory: `make bench`. One module a group of figures."""
