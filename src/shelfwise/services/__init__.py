"""What the program can do, one module per kind of work. A service takes the `App` first and owns its transaction."""
