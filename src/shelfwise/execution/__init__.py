"""Where work runs: here, in other processes of this machine, or on a cluster."""
