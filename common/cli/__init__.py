"""The command ``jobsource``: what it prints, and as lines or as a live table."""
