"""Report: what a run found, as pictures and tables."""

from nas.report.contact_sheet import contact_sheet

__all__ = ["contact_sheet"]
