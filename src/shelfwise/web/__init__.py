"""The web door: pages a person reads in a browser, made on the server and readable without a script."""
