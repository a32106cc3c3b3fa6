"""The parts of scripts/detector-corpus."""
