"""The command line: one small file per command, each no more than arguments and printing."""
