"""The one place where SQL lives: tables, the database file, and one module per thing that is kept."""
