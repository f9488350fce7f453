"""What goes to standard error while jobs are waited for: a live table, lines, or nothing."""
