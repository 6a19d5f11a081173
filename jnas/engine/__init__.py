"""The engine: how many things are run at once, on all devices, in blocks, with a bar, going on after a kill."""
