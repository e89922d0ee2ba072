"""`atoll certs`: a certificate authority for development, and certificates of it."""
