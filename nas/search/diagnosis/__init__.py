"""Diagnosis: how far the ranking by inherited accuracy holds among networks that are trained alone."""
