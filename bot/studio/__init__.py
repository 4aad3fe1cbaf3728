"""The studio: Zhiwei in a browser. `server.serve` opens it, `app.build_app` gives the application."""
