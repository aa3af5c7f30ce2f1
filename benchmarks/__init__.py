"""Standing comparisons, run again at every release: ``python -m benchmarks.calibration``."""
