"""What one record of ONTAP's says: a job, on the general path or the fast one, or a data engine's job."""
