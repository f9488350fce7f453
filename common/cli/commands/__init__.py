"""One module for each command of ``jobsource``, imported when that command is used."""
