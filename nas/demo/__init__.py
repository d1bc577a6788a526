"""Demo: the whole pipeline on generated people (`pipeline`), and those people (`people`)."""
