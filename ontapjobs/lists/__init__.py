"""Lists of jobs: which filters a request carries, and how its pages follow each other."""
