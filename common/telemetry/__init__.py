"""What a source reports of its work: events for observers, and the logger."""
