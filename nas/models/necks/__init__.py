"""Necks: what joins the stages' features, one file per type; `nas.space.catalogue` says which they are."""
