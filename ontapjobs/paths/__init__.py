"""Where things are in ONTAP: which links in replies are followed, and the gateway in front of a cluster."""
