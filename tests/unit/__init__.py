"""Single modules, without AWS and, but for the exchange's own tests, without sockets."""
