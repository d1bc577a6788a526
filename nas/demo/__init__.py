"""Demo: the whole way on generated people (`pipeline`), and those people (`people`)."""
