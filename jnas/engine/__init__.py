"""The engine: many things at once, on all devices, in blocks, with a bar, going on after a kill."""
