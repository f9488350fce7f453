"""What goes to standard output: one module for each format, and `writer` to choose."""
