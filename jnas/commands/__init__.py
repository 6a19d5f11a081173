"""The command line and nothing else: settings, estimators by name, ground truth, run folders, one module a command."""
