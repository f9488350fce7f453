"""What a write tells: the jobs that it started, and what became of each of its records."""
