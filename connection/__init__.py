"""The command-line program `connection`: everything that can be run, each with help for a newcomer."""
