"""What the host answers to everyone: pages, launches, watches, messages. No gRPC here."""
