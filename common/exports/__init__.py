"""What the four packages export, and under which module name their classes are known."""
