"""The HTTP door: bodies in, answers out, and every error as a problem document."""
