"""Takes authenticated HTTP requests for webhook sensors and stores them as deliveries."""
