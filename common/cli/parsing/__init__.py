"""How a command line is read: plain ones at once, and others by cyclopts, which takes longer to import."""
