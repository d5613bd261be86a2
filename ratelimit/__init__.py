"""The rate that all workers share: slots, the API's own headers, and the circuit breaker."""
