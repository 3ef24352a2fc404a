"""What workers do, one file a job function."""
