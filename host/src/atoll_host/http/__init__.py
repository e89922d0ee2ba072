"""The API over HTTP and JSON: what other services, browsers and people with curl speak to."""
