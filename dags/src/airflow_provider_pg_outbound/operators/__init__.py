"""Operators: tasks that run list automation jobs."""
