"""Engine of long jobs: many rows at once on all devices, in blocks that survive a kill."""
