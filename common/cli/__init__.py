"""The command ``jobsource``: what it prints, and in which form."""
