"""Finding out how a service treats an update, on one completion that is restored afterwards."""
