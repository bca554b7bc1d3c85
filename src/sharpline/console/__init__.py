"""The operator's page: a server and its static files. No torch."""
