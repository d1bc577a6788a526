"""Workflow: the whole way from a recipe to networks and a report, step by step, and what to start from."""
