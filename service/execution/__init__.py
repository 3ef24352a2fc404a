"""One tool process: its launch, limits, output, progress and artifacts."""
