"""Operator records, grouped by kind; each module registers its own when imported."""
